// A real OpenID provider for the tests: npm's oidc-provider on a free port of this machine, with a page to sign in on and a few ways
// to meddle with it (/control), which no real one has. Takes its settings as one JSON argument and says its issuer on one line.

import { createServer } from 'node:http';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const settings = {
  accounts: {},
  access_token_s: 3600,
  refresh_token_s: 14 * 24 * 3600,
  redirect_uris: { rollcall: [], other: [] },
  ...JSON.parse(process.argv[2] ?? '{}'),
};

// The packages lie where tests/run puts them, not beside this file.
const packages = createRequire(pathToFileURL(join(process.env.OIDC ?? 'target/oidc', 'package.json')));
const { Provider } = await import(pathToFileURL(packages.resolve('oidc-provider')));

const accounts = new Map(Object.entries(settings.accounts));
const requests = [];
const failures = new Map();
const delays = new Map();

const wallClock = Date.now.bind(Date);
let ahead = 0;
Date.now = () => wallClock() + ahead * 1000;

// Everything by its model and id, as long as the process lives.
const stored = new Map();
class Adapter {
  constructor(model) { this.model = model; }
  key(id) { return `${this.model}:${id}`; }
  async upsert(id, payload, expiresIn) {
    const ends = expiresIn ? Date.now() + expiresIn * 1000 : Infinity;
    stored.set(this.key(id), { payload: { ...payload }, ends });
  }
  async find(id) {
    const found = stored.get(this.key(id));
    return found && found.ends > Date.now() ? found.payload : undefined;
  }
  async findBy(name, value) {
    for (const [key, { payload }] of stored) {
      if (key.startsWith(`${this.model}:`) && payload[name] === value) return payload;
    }
    return undefined;
  }
  async findByUid(uid) { return this.findBy('uid', uid); }
  async findByUserCode(code) { return this.findBy('userCode', code); }
  async consume(id) {
    const found = stored.get(this.key(id));
    if (found) found.payload.consumed = Math.floor(Date.now() / 1000);
  }
  async destroy(id) { stored.delete(this.key(id)); }
  async revokeByGrantId(grantId) {
    for (const [key, { payload }] of stored) if (payload.grantId === grantId) stored.delete(key);
  }
}

const SCOPE = 'openid email profile groups offline_access';

const client = (id) => ({
  client_id: id,
  client_secret: settings.secret ?? `${id}-secret-of-the-tests`,
  redirect_uris: settings.redirect_uris[id],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'client_secret_basic',
});

function provider(issuer) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: randomBytes(4).toString('hex') };
  const made = new Provider(issuer, {
    adapter: Adapter,
    clients: Object.keys(settings.redirect_uris).map(client),
    jwks: { keys: [key] },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    scopes: ['openid', 'offline_access'],
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      profile: ['given_name', 'family_name', 'name', 'job_title', 'company', 'country'],
      groups: ['groups'],
    },
    findAccount: async (_, sub) => {
      const claims = accounts.get(sub);
      return claims && { accountId: sub, claims: async () => ({ sub, ...claims }) };
    },
    // Whoever signs in agrees.
    loadExistingGrant: async (ctx) => {
      const { client: { clientId }, session: { accountId } } = ctx.oidc;
      const grant = new ctx.oidc.provider.Grant({ clientId, accountId });
      grant.addOIDCScope(SCOPE);
      if (settings.resource) grant.addResourceScope(settings.resource, SCOPE);
      await grant.save();
      return grant;
    },
    issueRefreshToken: async (_, asking) => asking.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: true,
    expiresWithSession: async () => false,
    pkce: { required: () => true },
    ttl: {
      AccessToken: settings.access_token_s,
      RefreshToken: settings.refresh_token_s,
      AuthorizationCode: 60,
      IdToken: 3600,
      Interaction: 600,
      Session: 3600,
      Grant: settings.refresh_token_s,
    },
    features: {
      devInteractions: { enabled: false },
      introspection: { enabled: settings.introspection ?? true, allowedPolicy: async () => true },
      revocation: { enabled: settings.revocation ?? true, allowedPolicy: async () => true },
      resourceIndicators: {
        enabled: Boolean(settings.resource),
        defaultResource: async () => settings.resource,
        useGrantedResource: async () => true,
        getResourceServerInfo: async (_, audience) => ({
          scope: SCOPE, audience, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    renderError: async (ctx, out) => { ctx.type = 'json'; ctx.body = out; },
  });
  return made;
}

async function body(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}

function answer(response, value, status = 200) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value ?? null));
}

const PAGE = `<!doctype html><title>Sign in</title>
<form method="post"><input name="login" id="login" autofocus><button id="sign-in">Sign in</button></form>`;

async function interact(oidc, request, response) {
  const { prompt } = await oidc.interactionDetails(request, response);
  if (request.method === 'GET') {
    response.writeHead(200, { 'content-type': 'text/html' });
    return response.end(PAGE);
  }
  const login = new URLSearchParams(await body(request)).get('login');
  const result = accounts.has(login) && prompt.name === 'login'
    ? { login: { accountId: login } }
    : { error: 'access_denied', error_description: 'nobody by that name' };
  return oidc.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

// Tokens of people as if they had signed in with a client.
async function grants(oidc, { client: clientId, logins }) {
  const asking = await oidc.Client.find(clientId);
  const made = [];
  for (const accountId of logins) {
    const grant = new oidc.Grant({ accountId, clientId });
    grant.addOIDCScope(SCOPE);
    const grantId = await grant.save();
    const common = { accountId, client: asking, grantId, gty: 'authorization_code', scope: SCOPE };
    const access = await new oidc.AccessToken(common).save();
    const refresh = await new oidc.RefreshToken({ ...common, rotations: 0 }).save();
    const token = new oidc.IdToken({ sub: accountId, ...accounts.get(accountId) }, { client: asking, ctx: undefined });
    token.scope = 'openid';
    const id = await token.issue({ use: 'idtoken' }).catch(() => null);
    made.push({ sub: accountId, access_token: access, refresh_token: refresh, id_token: id, expires_in: settings.access_token_s });
  }
  return made;
}

async function control(oidc, request, response, path) {
  const given = request.method === 'POST' ? JSON.parse((await body(request)) || '{}') : {};
  const [, , what, whose] = path.split('/');
  switch (what) {
    case 'accounts':
      accounts.set(decodeURIComponent(whose), { ...accounts.get(decodeURIComponent(whose)), ...given });
      return answer(response);
    case 'revoke':
      for (const [key, { payload }] of stored) {
        if (payload.accountId === decodeURIComponent(whose) && !key.startsWith('Session:')) stored.delete(key);
      }
      return answer(response);
    case 'clock':
      ahead = given.ahead_s;
      return answer(response);
    case 'fail':
      failures.set(`/${given.path}`, { status: given.status, times: given.times });
      return answer(response);
    case 'delay':
      delays.set(`/${given.path}`, given.ms);
      return answer(response);
    case 'log':
      return answer(response, requests);
    case 'grants':
      return answer(response, await grants(oidc, given));
    default:
      return answer(response, { error: 'no such control' }, 404);
  }
}

// An API of the organiser's own: the profile of whom a JWT access token is of.
function profile(request, response) {
  const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
  const part = token.split('.')[1];
  const claims = part && JSON.parse(Buffer.from(part, 'base64url').toString());
  const account = claims && accounts.get(claims.sub);
  if (!account || claims.exp * 1000 <= Date.now()) return answer(response, { error: 'no such token' }, 401);
  return answer(response, { account: { number: claims.sub, ...account } });
}

const server = createServer();
server.listen(settings.port ?? 0, '127.0.0.1');
await once(server, 'listening');
const issuer = `http://127.0.0.1:${server.address().port}`;
const oidc = provider(issuer);
const serve = oidc.callback();

server.on('request', async (request, response) => {
  const path = new URL(request.url, issuer).pathname;
  try {
    if (path.startsWith('/control/')) return await control(oidc, request, response, path);
    response.on('finish', () => requests.push({ path, status: response.statusCode, at: wallClock() }));
    const delay = delays.get(path);
    if (delay) await new Promise((done) => { setTimeout(done, delay); });
    const failure = failures.get(path);
    if (failure && failure.times > 0) {
      failure.times -= 1;
      return answer(response, { error: 'temporarily_unavailable' }, failure.status);
    }
    // As if an answer were to another request.
    if (path === '/auth' && settings.nonce) request.url = request.url.replace(/nonce=[^&]+/, `nonce=${settings.nonce}`);
    if (path === '/api/me') return profile(request, response);
    if (path.startsWith('/interaction/')) return await interact(oidc, request, response);
    return await serve(request, response);
  } catch (error) {
    console.error(error);
    if (!response.headersSent) answer(response, { error: String(error) }, 500);
    return undefined;
  }
});

console.log(JSON.stringify({ issuer }));
// Whoever started it is gone when its input ends.
process.stdin.on('end', () => process.exit(0)).resume();
