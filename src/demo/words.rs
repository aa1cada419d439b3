//! The words that made-up people consist of.
//!
//! Names come in the script their bearers write, with the Latin spelling that their addresses use. Domains end
//! in `.example`, which nobody can own (RFC 2606).

/// A name as written and as it stands in an email address.
pub(super) type Name = (&'static str, &'static str);

/// Where a person comes from.
pub(super) struct Culture {
    pub country: &'static str,
    /// The country's telephone code with its plus sign.
    pub dial: &'static str,
    pub given: &'static [Name],
    pub family: &'static [Name],
}

#[rustfmt::skip]
pub(super) const CULTURES: &[Culture] = &[
    Culture { country: "Germany", dial: "+49",
        given: &[("Jürgen", "juergen"), ("Anneliese", "anneliese"), ("Björn", "bjoern"), ("Käthe", "kaethe"), ("Lukas", "lukas"), ("Hannah", "hannah")],
        family: &[("Müller", "mueller"), ("Größmann", "groessmann"), ("von der Heide", "vonderheide"), ("Schäfer", "schaefer"), ("Weiß", "weiss"), ("Braun", "braun")] },
    Culture { country: "France", dial: "+33",
        given: &[("Zoé", "zoe"), ("François", "francois"), ("Hélène", "helene"), ("Jean-Baptiste", "jean-baptiste"), ("Maëlys", "maelys"), ("Rémi", "remi")],
        family: &[("Lefèvre", "lefevre"), ("d'Aubigné", "daubigne"), ("Garçon", "garcon"), ("Lemaître", "lemaitre"), ("Dupont", "dupont"), ("Bäcker-Noël", "backer-noel")] },
    Culture { country: "United Kingdom", dial: "+44",
        given: &[("Ada", "ada"), ("Grace", "grace"), ("Alan", "alan"), ("Rosalind", "rosalind"), ("Tim", "tim"), ("Dorothy", "dorothy")],
        family: &[("Lovelace", "lovelace"), ("Hopper-Jones", "hopper-jones"), ("Turing", "turing"), ("Franklin", "franklin"), ("Hodgkin", "hodgkin"), ("Smith", "smith")] },
    Culture { country: "Ireland", dial: "+353",
        given: &[("Siobhán", "siobhan"), ("Pádraig", "padraig"), ("Aoife", "aoife"), ("Seán", "sean"), ("Niamh", "niamh"), ("Oisín", "oisin")],
        family: &[("O'Brien", "obrien"), ("Ní Dhomhnaill", "nidhomhnaill"), ("Ó Súilleabháin", "osuilleabhain"), ("Murphy", "murphy"), ("O'Neill", "oneill"), ("Byrne", "byrne")] },
    Culture { country: "Spain", dial: "+34",
        given: &[("José", "jose"), ("Begoña", "begona"), ("Íñigo", "inigo"), ("María José", "mariajose"), ("Núria", "nuria"), ("Álvaro", "alvaro")],
        family: &[("Muñoz García", "munozgarcia"), ("Ibáñez", "ibanez"), ("Núñez de Balboa", "nunezdebalboa"), ("López", "lopez"), ("Peña", "pena"), ("Güell", "guell")] },
    Culture { country: "Poland", dial: "+48",
        given: &[("Łukasz", "lukasz"), ("Małgorzata", "malgorzata"), ("Michał", "michal"), ("Żaneta", "zaneta"), ("Zofia", "zofia"), ("Wojciech", "wojciech")],
        family: &[("Wiśniewska", "wisniewska"), ("Dąbrowski", "dabrowski"), ("Łoś", "los"), ("Szczęsny", "szczesny"), ("Nowak", "nowak"), ("Wójcik", "wojcik")] },
    Culture { country: "Czechia", dial: "+420",
        given: &[("Jiří", "jiri"), ("Běla", "bela"), ("Ondřej", "ondrej"), ("Žofie", "zofie"), ("Tomáš", "tomas"), ("Kateřina", "katerina")],
        family: &[("Dvořáková", "dvorakova"), ("Řezníček", "reznicek"), ("Šťastný", "stastny"), ("Novák", "novak"), ("Čapek", "capek"), ("Němcová", "nemcova")] },
    Culture { country: "Iceland", dial: "+354",
        given: &[("Þórunn", "thorunn"), ("Sigríður", "sigridur"), ("Guðmundur", "gudmundur"), ("Björk", "bjork"), ("Ævar", "aevar"), ("Halldór", "halldor")],
        family: &[("Jónsdóttir", "jonsdottir"), ("Guðmundsson", "gudmundsson"), ("Þórsson", "thorsson"), ("Sigurðardóttir", "sigurdardottir"), ("Bragason", "bragason"), ("Helgadóttir", "helgadottir")] },
    Culture { country: "Denmark", dial: "+45",
        given: &[("Søren", "soeren"), ("Åse", "aase"), ("Jørgen", "joergen"), ("Mette", "mette"), ("Bjørn", "bjoern"), ("Kirsten", "kirsten")],
        family: &[("Kierkegård", "kierkegaard"), ("Sørensen", "soerensen"), ("Møller", "moeller"), ("Ærø", "aeroe"), ("Nielsen", "nielsen"), ("Højgaard", "hoejgaard")] },
    Culture { country: "Hungary", dial: "+36",
        given: &[("Győző", "gyozo"), ("Erzsébet", "erzsebet"), ("László", "laszlo"), ("Ödön", "odon"), ("Zsófia", "zsofia"), ("Bálint", "balint")],
        family: &[("Szőke", "szoke"), ("Erdős", "erdos"), ("Bartók", "bartok"), ("Kőszegi", "koszegi"), ("Nagy", "nagy"), ("Vörösmarty", "vorosmarty")] },
    Culture { country: "Türkiye", dial: "+90",
        given: &[("İsmail", "ismail"), ("Ayşe", "ayse"), ("Çağla", "cagla"), ("Oğuz", "oguz"), ("Işıl", "isil"), ("Gülşen", "gulsen")],
        family: &[("Yıldız", "yildiz"), ("Öztürk", "ozturk"), ("Çelik", "celik"), ("Şahin", "sahin"), ("Kılıç", "kilic"), ("Demir", "demir")] },
    Culture { country: "Greece", dial: "+30",
        given: &[("Ελένη", "eleni"), ("Γιώργος", "giorgos"), ("Ανδρέας", "andreas"), ("Σοφία", "sofia"), ("Νίκος", "nikos"), ("Δήμητρα", "dimitra")],
        family: &[("Παπαδοπούλου", "papadopoulou"), ("Καζαντζάκης", "kazantzakis"), ("Ιωάννου", "ioannou"), ("Οικονόμου", "oikonomou"), ("Βασιλείου", "vasileiou"), ("Σεφέρης", "seferis")] },
    Culture { country: "Ukraine", dial: "+380",
        given: &[("Олександра", "oleksandra"), ("Тарас", "taras"), ("Юлія", "yuliia"), ("Богдан", "bohdan"), ("Ганна", "hanna"), ("Євген", "yevhen")],
        family: &[("Шевченко", "shevchenko"), ("Коваленко", "kovalenko"), ("Лесюк", "lesiuk"), ("Бондаренко", "bondarenko"), ("Ґудзь", "gudz"), ("Мельник", "melnyk")] },
    Culture { country: "Israel", dial: "+972",
        given: &[("נועה", "noa"), ("יעל", "yael"), ("דוד", "david"), ("איתן", "eitan"), ("תמר", "tamar"), ("אורי", "uri")],
        family: &[("כהן", "cohen"), ("לוי", "levi"), ("מזרחי", "mizrahi"), ("פרידמן", "friedman"), ("ביטון", "biton"), ("אברהם", "avraham")] },
    Culture { country: "Egypt", dial: "+20",
        given: &[("فاطمة", "fatma"), ("محمد", "mohamed"), ("ليلى", "layla"), ("يوسف", "youssef"), ("نور", "nour"), ("أحمد", "ahmed")],
        family: &[("حسن", "hassan"), ("محفوظ", "mahfouz"), ("إبراهيم", "ibrahim"), ("السيد", "elsayed"), ("منصور", "mansour"), ("زويل", "zewail")] },
    Culture { country: "India", dial: "+91",
        given: &[("प्रिया", "priya"), ("अर्जुन", "arjun"), ("Lakshmi", "lakshmi"), ("Ravi", "ravi"), ("अनन्या", "ananya"), ("Vikram", "vikram")],
        family: &[("शर्मा", "sharma"), ("Raman", "raman"), ("पटेल", "patel"), ("Chandrasekhar", "chandrasekhar"), ("Iyer", "iyer"), ("गुप्ता", "gupta")] },
    Culture { country: "Japan", dial: "+81",
        given: &[("陽子", "yoko"), ("健太", "kenta"), ("さくら", "sakura"), ("大輔", "daisuke"), ("美咲", "misaki"), ("翔", "sho")],
        family: &[("佐藤", "sato"), ("鈴木", "suzuki"), ("髙橋", "takahashi"), ("渡邉", "watanabe"), ("山本", "yamamoto"), ("小林", "kobayashi")] },
    Culture { country: "China", dial: "+86",
        given: &[("伟", "wei"), ("芳", "fang"), ("秀英", "xiuying"), ("子涵", "zihan"), ("磊", "lei"), ("静", "jing")],
        family: &[("王", "wang"), ("李", "li"), ("欧阳", "ouyang"), ("张", "zhang"), ("刘", "liu"), ("陈", "chen")] },
    Culture { country: "South Korea", dial: "+82",
        given: &[("민준", "minjun"), ("서연", "seoyeon"), ("지훈", "jihun"), ("하은", "haeun"), ("도윤", "doyun"), ("수빈", "subin")],
        family: &[("김", "kim"), ("이", "lee"), ("박", "park"), ("최", "choi"), ("정", "jung"), ("남궁", "namgung")] },
    Culture { country: "Vietnam", dial: "+84",
        given: &[("Thị Hương", "thihuong"), ("Văn Đức", "vanduc"), ("Ánh", "anh"), ("Quốc Bảo", "quocbao"), ("Mỹ Linh", "mylinh"), ("Tuấn", "tuan")],
        family: &[("Nguyễn", "nguyen"), ("Trần", "tran"), ("Đặng", "dang"), ("Phạm", "pham"), ("Lê", "le"), ("Hoàng", "hoang")] },
    Culture { country: "Nigeria", dial: "+234",
        given: &[("Chimamanda", "chimamanda"), ("Olúwaṣeun", "oluwaseun"), ("Ngozi", "ngozi"), ("Emeka", "emeka"), ("Àdùké", "aduke"), ("Ibrahim", "ibrahim")],
        family: &[("Adéyẹmí", "adeyemi"), ("Okonkwo", "okonkwo"), ("Ọbásanjọ́", "obasanjo"), ("Eze", "eze"), ("Bello", "bello"), ("Nwachukwu", "nwachukwu")] },
    Culture { country: "Brazil", dial: "+55",
        given: &[("João", "joao"), ("Conceição", "conceicao"), ("Thaís", "thais"), ("Antônio", "antonio"), ("Inês", "ines"), ("Caio", "caio")],
        family: &[("da Silva", "dasilva"), ("Gonçalves", "goncalves"), ("Araújo", "araujo"), ("dos Santos", "dossantos"), ("Simões", "simoes"), ("Magalhães", "magalhaes")] },
    Culture { country: "United States", dial: "+1",
        given: &[("Katherine", "katherine"), ("Barbara", "barbara"), ("Donald", "donald"), ("Margaret", "margaret"), ("Edsger", "edsger"), ("D'Angelo", "dangelo")],
        family: &[("Johnson", "johnson"), ("Liskov", "liskov"), ("Knuth", "knuth"), ("Hamilton", "hamilton"), ("García-López", "garcia-lopez"), ("St. John", "stjohn")] },
];

/// Companies with the domain of their addresses.
#[rustfmt::skip]
pub(super) const COMPANIES: &[(&str, &str)] = &[
    ("Northwind Analytics", "northwind.example"), ("Müller & Söhne GmbH", "mueller-soehne.example"),
    ("Harbour Light Press", "harbourlight.example"), ("Société Générale des Eaux Vives", "eaux-vives.example"),
    ("Blue Heron Robotics", "blueheron.example"), ("東京データ株式会社", "tokyo-records.example"),
    ("Orchard Street Studio", "orchardstreet.example"), ("Åkerlund Rymd AB", "akerlund.example"),
    ("University of Westmarch", "westmarch.example"), ("The \"Small Batch\" Roastery", "smallbatch.example"),
    ("Quetzal Logistics S.A. de C.V.", "quetzal.example"), ("Fjord & Fell", "fjordfell.example"),
    ("Institute for Public Maths", "publicmaths.example"), ("Kestrel Energy", "kestrel.example"),
    ("Ministry of Good Ideas", "goodideas.example"), ("Lantern Health", "lantern.example"),
];

pub(super) const TITLES: &[&str] = &["", "", "", "", "", "", "Dr.", "Prof.", "Prof. Dr.", "Mx."];

#[rustfmt::skip]
pub(super) const JOBS: &[&str] = &[
    "Engineer", "Senior Engineer", "Head of Programme", "Researcher", "Editor", "Product Designer",
    "Chief Technology Officer", "Founder", "Student", "Community Lead", "Database Administrator",
    "Journalist", "Lecturer", "Site Reliability Engineer", "Event Producer", "Policy Adviser", "Translator",
];

#[rustfmt::skip]
pub(super) const BIO_OPENINGS: &[&str] = &[
    "Has spent twelve years making queues at the registration desk shorter.",
    "Writes about cities, maps and the people who draw them.",
    "Builds instruments for oceanographers and mends bicycles at night.",
    "Leads a team of nine across four time zones; still answers the phone.",
    "Maintains a small library that more people depend on than know of it.",
    "Teaches statistics to historians, and history to statisticians.",
    "Moved from theatre lighting to power grids: \"same problem, larger stage\".",
    "Started with a school newspaper; never quite stopped.",
];

#[rustfmt::skip]
pub(super) const BIO_CLOSINGS: &[&str] = &[
    "Ask about the lighthouse.",
    "Speaks three languages, one of them to machines.",
    "Lives with two cats and one very old printer.",
    "Looking for people who care about plain words.",
    "First time here.\nHappy to meet for coffee.",
    "Talk: \"What the last 1 % costs\".",
    "Sings in a choir — bass, badly.",
    "Off on Fridays.",
];

pub(super) const TICKETS: &[&str] =
    &["Standard", "Standard", "Standard", "Early bird", "Student", "Day pass", "Sponsor"];

pub(super) const DIETS: &[&str] = &["none", "none", "none", "none", "vegetarian", "vegan", "halal", "gluten-free"];

/// Groups and how many of a thousand records name them.
pub(super) const GROUPS: &[(&str, u32)] =
    &[("Speakers", 60), ("VIP", 25), ("Press", 40), ("Workshop: Ödegård", 120), ("Volunteers", 80)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_spellings_make_plain_addresses() {
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        for culture in CULTURES {
            for (_, latin) in culture.given.iter().chain(culture.family) {
                assert!(plain(latin), "{latin}");
            }
        }
        for (_, domain) in COMPANIES {
            assert!(domain.strip_suffix(".example").is_some_and(plain), "{domain}");
        }
    }

    #[test]
    fn a_byte_holds_every_group() {
        assert!(GROUPS.len() <= 8);
    }
}
