#!/usr/bin/env python3
"""A real pretix with one event, for tests/it/vendors/pretix.rs.

`peer.py prepare FOLDER` makes an empty database there, once, which takes some minutes. `peer.py serve FOLDER TOKEN` copies
it, fills the copy by pretix's own models and serves it on loopback to whoever bears the token. It prints a line of JSON with
its address, then does what each line on its standard input says and prints what is true afterwards. It ends with its input.
"""

import json
import logging
import os
import shutil
import sys
import tempfile
import threading
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

CONFIG = """
[pretix]
instance_name=peer
url={url}
datadir={folder}
registration=off
[database]
backend=sqlite3
name={folder}/db.sqlite3
[django]
secret=not-a-secret
debug=off
"""


def begin(folder, url):
    config = folder / "pretix.cfg"
    config.write_text(CONFIG.format(url=url, folder=folder))
    os.environ["PRETIX_CONFIG_FILE"] = str(config)
    os.environ["DJANGO_SETTINGS_MODULE"] = "pretix.settings"
    import django

    django.setup()
    # Its tasks tell of everything they do.
    logging.disable(logging.WARNING)


def prepare(folder):
    kept = folder / "empty.sqlite3"
    if kept.exists():
        return
    with tempfile.TemporaryDirectory() as scratch:
        begin(Path(scratch), "http://127.0.0.1")
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        # Under its name only when it is whole.
        shutil.copy(Path(scratch) / "db.sqlite3", folder / "half.sqlite3")
        (folder / "half.sqlite3").rename(kept)


class Conference:
    """One event, its orders, and who its organiser says is there."""

    def __init__(self, token):
        from django.utils.timezone import now
        from pretix.base.models import Event, Organizer, Team

        self.now = now()
        self.organizer = Organizer.objects.create(name="Org", slug="org")
        self.event = Event.objects.create(
            organizer=self.organizer, name="Conf", slug="conf", live=True, plugins="",
            date_from=self.now + timedelta(days=90),
        )
        self.ticket = self.event.items.create(name="Ticket", default_price=10, admission=True)
        self.workshop = self.event.items.create(name="Workshop", default_price=5)
        quota = self.event.quotas.create(name="All", size=None)
        quota.items.add(self.ticket, self.workshop)
        team = Team.objects.create(
            organizer=self.organizer, name="Rollcall", all_events=True,
            limit_event_permissions={"event.orders:read": True},
        )
        team.tokens.create(name="rollcall", token=token)
        # What a person would say the name of a position is, where it is not in two parts.
        self.names = {}
        self.seed()

    def order(self, code, email, status="p", **more):
        from pretix.base.models import Order

        return Order.objects.create(
            code=code, event=self.event, email=email, status=status, datetime=self.now, total=0, locale="en",
            expires=self.now + timedelta(days=10), sales_channel=self.organizer.sales_channels.get(identifier="web"),
            **more,
        )

    def position(self, order, parts, email=None, name=None, **more):
        from pretix.base.models import OrderPosition

        position = OrderPosition.objects.create(**{
            "order": order, "item": self.ticket, "variation": None, "price": Decimal(10), "attendee_name_parts": parts,
            "attendee_email": email, "positionid": order.all_positions.count() + 1, **more,
        })
        if name:
            self.names[position.pk] = name
        self.settle(order, position.price)
        return position

    def settle(self, order, price):
        """The order's total, its payment and its bookings follow each position."""
        order.total += price
        order.save()
        if order.status == order.STATUS_PAID:
            order.payments.create(provider="manual", amount=price, state="confirmed")
        order.create_transactions()

    def person(self, code, first, last, email, status="p", **more):
        order = self.order(code, email, status, **more)
        return self.position(order, {"_scheme": "given_family", "given_name": first, "family_name": last}, email)

    def seed(self):
        from pretix.base.models import InvoiceAddress

        self.ada = self.person("ADA00", "Ada", "Lovelace", "Ada@example.org")
        # An add-on names nobody: it is hers, not the buyer's.
        self.position(self.ada.order, {}, item=self.workshop, price=Decimal(5), addon_to=self.ada)
        self.group = self.order("GROUP", "buyer@example.org")
        self.members = [
            self.position(self.group, {"_scheme": "given_family", "given_name": first, "family_name": last})
            for first, last in [("Grace", "Hopper"), ("Joan", "Clarke"), ("Alan", "Turing")]
        ]
        self.edsger = self.person("PEND0", "Edsger", "Dijkstra", "edsger@example.org", "n")
        self.person("EXPI0", "Late", "Comer", "late@example.org", "e")
        self.person("TEST0", "Tess", "Ting", "test@example.org", testmode=True)
        full = self.order("FULL0", "anna@example.org")
        self.position(full, {"_scheme": "full", "full_name": "Anna Maria van Dyck"}, name=("Anna Maria van", "Dyck"))
        one = self.order("CHER0", "cher@example.org")
        self.position(one, {"_scheme": "full", "full_name": "Cher"}, name=("Cher", "-"))
        billed = self.order("BILL0", "barbara@example.org")
        InvoiceAddress.objects.create(
            order=billed, name_parts={"_scheme": "given_family", "given_name": "Barbara", "family_name": "Liskov"}
        )
        self.position(billed, {}, name=("Barbara", "Liskov"))
        # More than a page.
        for n in range(60):
            self.person(f"MANY{n:02}", f"First{n}", "Many", f"many{n}@example.org")

    def cancel(self):
        from pretix.base.services.orders import _cancel_order

        _cancel_order(self.ada.order.pk, send_mail=False)

    def rename(self):
        self.edit("FULL0", attendee_name_parts={"_scheme": "full", "full_name": "Anna Maria Meyer"})
        self.names[self.first("FULL0").pk] = ("Anna Maria", "Meyer")

    def readdress(self):
        self.edit("MANY07", attendee_email="seven@example.org")

    def add(self):
        self.person("NEW00", "Katherine", "Johnson", "katherine@example.org")

    def leave_group(self):
        from pretix.base.services.orders import OrderChangeManager

        change = OrderChangeManager(self.group, notify=False)
        change.cancel(self.members[0])
        change.commit()

    def pay(self):
        payment = self.edsger.order.payments.create(provider="manual", amount=Decimal(10), state="created")
        payment.confirm(send_mail=False, force=True)

    def first(self, code):
        from pretix.base.models import Order

        return Order.objects.get(code=code).all_positions.first()

    def edit(self, code, **values):
        position = self.first(code)
        for key, value in values.items():
            setattr(position, key, value)
        position.save()

    def truth(self):
        """Every position that is a registration, as pretix itself has it."""
        from pretix.base.models import OrderPosition

        shown = OrderPosition.all.filter(order__event=self.event, order__testmode=False, addon_to=None)
        return [self.told(position) for position in shown.select_related("order").order_by("pk")]

    def told(self, position):
        from pretix.base.models import Order

        parts = position.attendee_name_parts
        first, last = self.names.get(position.pk) or (parts["given_name"], parts["family_name"])
        status = position.order.status
        state = "attending" if status == Order.STATUS_PAID else "pending"
        if position.canceled or status in (Order.STATUS_CANCELED, Order.STATUS_EXPIRED):
            state = "cancelled"
        return {
            "id": position.pk, "email": position.attendee_email or position.order.email, "first": first, "last": last,
            "kind": str(position.item_id), "state": state,
        }


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def serve(folder, token):
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(folder / "empty.sqlite3", Path(scratch) / "db.sqlite3")
        server = make_server("127.0.0.1", 0, None, server_class=Server, handler_class=Quiet)
        url = f"http://127.0.0.1:{server.server_port}"
        begin(Path(scratch), url)
        from django.core.wsgi import get_wsgi_application
        from django_scopes import scopes_disabled

        with scopes_disabled():
            conference = Conference(token)
            server.set_app(get_wsgi_application())
            threading.Thread(target=server.serve_forever, daemon=True).start()
            say({"url": url, "truth": conference.truth()})
            for line in sys.stdin:
                getattr(conference, line.strip())()
                say({"truth": conference.truth()})


def say(value):
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    {"prepare": prepare, "serve": serve}[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
