"""Write an English-French phrasebook to train a small translator on: pairs.tsv files with
the word alignment beside them.

The sentences come from a grammar, so that agreement, elision and word order are known to
be right and the alignment is known exactly. Everything is decided by a seed.
"""

import math
import random
import re
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import typer
from wasabi import msg

SIZE = 24_000
TOKEN = re.compile(r"\w+|[^\w\s]")
VOWELS = "aeéêiîoôuhœ"


class Unit(NamedTuple):
    """Words of both languages that say the same. Either side may be empty."""

    en: str
    fr: str


class Phrase(NamedTuple):
    """The same units in the order of each language."""

    en: tuple[Unit, ...]
    fr: tuple[Unit, ...]


class Noun(NamedTuple):
    en: str
    en_plural: str
    fr: str
    fr_plural: str
    gender: str
    kind: str


class Adjective(NamedTuple):
    """`masculine_vowel`: the form before a vowel, for those that stand before the noun."""

    en: str
    masculine: str
    feminine: str
    masculines: str
    feminines: str
    is_before: bool = False
    masculine_vowel: str = ""


class Verb(NamedTuple):
    """The present tense; in French for je, il, nous, vous, ils."""

    en: str
    en_third: str
    fr: tuple[str, str, str, str, str]
    infinitive: str


NOUNS = [
    Noun("dog", "dogs", "chien", "chiens", "m", "animal"),
    Noun("cat", "cats", "chat", "chats", "m", "animal"),
    Noun("horse", "horses", "cheval", "chevaux", "m", "animal"),
    Noun("bird", "birds", "oiseau", "oiseaux", "m", "animal"),
    Noun("cow", "cows", "vache", "vaches", "f", "animal"),
    Noun("friend", "friends", "ami", "amis", "m", "person"),
    Noun("teacher", "teachers", "professeur", "professeurs", "m", "person"),
    Noun("doctor", "doctors", "médecin", "médecins", "m", "person"),
    Noun("sister", "sisters", "sœur", "sœurs", "f", "person"),
    Noun("girl", "girls", "fille", "filles", "f", "person"),
    Noun("boy", "boys", "garçon", "garçons", "m", "person"),
    Noun("student", "students", "étudiant", "étudiants", "m", "person"),
    Noun("book", "books", "livre", "livres", "m", "thing"),
    Noun("car", "cars", "voiture", "voitures", "f", "thing"),
    Noun("key", "keys", "clé", "clés", "f", "thing"),
    Noun("table", "tables", "table", "tables", "f", "thing"),
    Noun("tree", "trees", "arbre", "arbres", "m", "thing"),
    Noun("picture", "pictures", "image", "images", "f", "thing"),
    Noun("hat", "hats", "chapeau", "chapeaux", "m", "thing"),
    Noun("shirt", "shirts", "chemise", "chemises", "f", "thing"),
    Noun("apple", "apples", "pomme", "pommes", "f", "food"),
    Noun("cake", "cakes", "gâteau", "gâteaux", "m", "food"),
    Noun("egg", "eggs", "œuf", "œufs", "m", "food"),
    Noun("orange", "oranges", "orange", "oranges", "f", "food"),
]
PLACES = [
    Noun("house", "houses", "maison", "maisons", "f", "place"),
    Noun("garden", "gardens", "jardin", "jardins", "m", "place"),
    Noun("school", "schools", "école", "écoles", "f", "place"),
    Noun("kitchen", "kitchens", "cuisine", "cuisines", "f", "place"),
    Noun("street", "streets", "rue", "rues", "f", "place"),
    Noun("room", "rooms", "chambre", "chambres", "f", "place"),
]
ADJECTIVES = [
    Adjective("black", "noir", "noire", "noirs", "noires"),
    Adjective("white", "blanc", "blanche", "blancs", "blanches"),
    Adjective("green", "vert", "verte", "verts", "vertes"),
    Adjective("blue", "bleu", "bleue", "bleus", "bleues"),
    Adjective("red", "rouge", "rouge", "rouges", "rouges"),
    Adjective("big", "grand", "grande", "grands", "grandes", True),
    Adjective("small", "petit", "petite", "petits", "petites", True),
    Adjective("beautiful", "beau", "belle", "beaux", "belles", True, "bel"),
    Adjective("old", "vieux", "vieille", "vieux", "vieilles", True, "vieil"),
    Adjective("new", "nouveau", "nouvelle", "nouveaux", "nouvelles", True, "nouvel"),
    Adjective("strange", "étrange", "étrange", "étranges", "étranges"),
    Adjective("clean", "propre", "propre", "propres", "propres"),
]
VERBS = [
    Verb("see", "sees", ("vois", "voit", "voyons", "voyez", "voient"), "voir"),
    Verb("like", "likes", ("aime", "aime", "aimons", "aimez", "aiment"), "aimer"),
    Verb(
        "look for", "looks for",
        ("cherche", "cherche", "cherchons", "cherchez", "cherchent"), "chercher",
    ),
    Verb("find", "finds", ("trouve", "trouve", "trouvons", "trouvez", "trouvent"), "trouver"),
    Verb("know", "knows", ("connais", "connaît", "connaissons", "connaissez", "connaissent"),
         "connaître"),
    Verb("want", "wants", ("veux", "veut", "voulons", "voulez", "veulent"), "vouloir"),
    Verb("draw", "draws", ("dessine", "dessine", "dessinons", "dessinez", "dessinent"),
         "dessiner"),
    Verb("hide", "hides", ("cache", "cache", "cachons", "cachez", "cachent"), "cacher"),
    Verb("follow", "follows", ("suis", "suit", "suivons", "suivez", "suivent"), "suivre"),
    Verb("wait for", "waits for", ("attends", "attend", "attendons", "attendez", "attendent"),
         "attendre"),
]  # fmt: skip
# English, French, which form of a French verb, whether the English verb takes -s
SUBJECTS = [
    ("I", "je", 0, False), ("he", "il", 1, True), ("she", "elle", 1, True),
    ("we", "nous", 2, False), ("you", "vous", 3, False), ("they", "ils", 4, False),
]  # fmt: skip
OBJECTS = [("me", "me"), ("him", "le"), ("her", "la"), ("us", "nous"), ("them", "les")]
WEATHER = [
    ("fine", "beau"), ("bad", "mauvais"), ("cold", "froid"), ("hot", "chaud"), ("mild", "doux"),
    ("cool", "frais"),
]  # fmt: skip
DEGREES = [("", ""), ("very", "très"), ("too", "trop"), ("rather", "assez")]
OCCASIONS = [
    ("", ""), ("today", "aujourd'hui"), ("here", "ici"), ("this morning", "ce matin"),
    ("this evening", "ce soir"), ("in Paris", "à Paris"), ("in London", "à Londres"),
    ("in winter", "en hiver"), ("in summer", "en été"), ("in autumn", "en automne"),
    ("in spring", "au printemps"), ("in the mountains", "à la montagne"),
    ("at the seaside", "à la mer"), ("in town", "en ville"),
]  # fmt: skip
NUMBERS = [("two", "deux"), ("three", "trois"), ("four", "quatre"), ("five", "cinq"),
           ("six", "six"), ("ten", "dix")]  # fmt: skip
DETERMINERS = ("the", "this", "my", "your")
IS, ARE = Unit("is", "est"), Unit("are", "sont")


def starts_with_vowel(word: str) -> bool:
    return word[0] in VOWELS


def elide(word: str, following: str) -> str:
    """je, me, ne, de, le, la, que before a vowel."""
    elides = word in ("je", "me", "ne", "de", "le", "la", "que")
    return word[:-1] + "'" if elides and starts_with_vowel(following) else word


def determine(name: str, gender: str, plural: bool, following: str) -> tuple[str, str]:
    """A determiner in English and in French, before a French word."""
    vowel = starts_with_vowel(following)
    if name == "this":
        singular = "cette" if gender == "f" else ("cet" if vowel else "ce")
        return ("these", "ces") if plural else ("this", singular)
    if name == "the":
        return "the", "les" if plural else elide("le" if gender == "m" else "la", following)
    if name == "your":
        return "your", "vos" if plural else "votre"
    feminine = gender == "f" and not vowel  # mon image
    return "my", "mes" if plural else ("ma" if feminine else "mon")


def inflect(adjective: Adjective, noun: Noun, plural: bool) -> str:
    if plural:
        return adjective.feminines if noun.gender == "f" else adjective.masculines
    return adjective.feminine if noun.gender == "f" else adjective.masculine


def noun_phrase(
    determiner: str, noun: Noun, plural: bool, adjective: Adjective | None = None
) -> Phrase:
    thing = Unit(noun.en_plural, noun.fr_plural) if plural else Unit(noun.en, noun.fr)
    en, fr = [thing], [thing]
    if adjective:
        form = inflect(adjective, noun, plural)
        special = adjective.masculine_vowel and noun.gender == "m" and not plural
        if adjective.is_before and special and starts_with_vowel(noun.fr):
            form = adjective.masculine_vowel
        quality = Unit(adjective.en, form)
        en.insert(0, quality)
        fr.insert(0 if adjective.is_before else 1, quality)
    first = Unit(*determine(determiner, noun.gender, plural, fr[0].fr))
    return Phrase((first, *en), (first, *fr))


class Pattern(NamedTuple):
    """A kind of sentence: a function, and what it can be made of."""

    make: Callable[..., Phrase]
    choices: tuple[list[Any], ...]

    def __len__(self) -> int:
        return math.prod(len(choice) for choice in self.choices)

    def sentence(self, number: int) -> Phrase:
        """One of them, by its number."""
        chosen = []
        for choice in self.choices:
            number, place = divmod(number, len(choice))
            chosen.append(choice[place])
        return self.make(*chosen)


def patterns() -> list[Pattern]:
    """Each kind of sentence, without its full stop."""
    plurals = (False, True)
    keys = list(product(DETERMINERS, NOUNS, plurals, [None, *ADJECTIVES]))
    phrases = [noun_phrase(*key) for key in keys]
    subjects = [(phrase, key[2]) for phrase, key in zip(phrases, keys, strict=True)]
    places = [noun_phrase(d, place, False) for d, place in product(("the", "my"), PLACES)]
    no = list(plurals)
    described_by = (list(DETERMINERS), NOUNS, list(plurals), ADJECTIVES)
    people = [noun for noun in NOUNS if noun.kind == "person"]
    things = [noun for noun in NOUNS if noun.kind in ("thing", "animal")]
    return [
        Pattern(weather, (WEATHER, DEGREES, OCCASIONS, no)),
        Pattern(asked_weather, (WEATHER, DEGREES, OCCASIONS)),
        Pattern(statement, (SUBJECTS, VERBS, phrases)),
        Pattern(denial, (SUBJECTS, VERBS, phrases)),
        Pattern(question, (SUBJECTS, VERBS, phrases)),
        Pattern(pronoun, (SUBJECTS, VERBS, OBJECTS, no)),
        Pattern(wish, (SUBJECTS, VERBS, phrases)),
        Pattern(described, described_by),
        Pattern(not_described, described_by),
        Pattern(asked, described_by),
        Pattern(located, (subjects, places)),
        Pattern(counted, (NUMBERS, NOUNS, places)),
        Pattern(order, (VERBS[2:], phrases)),
        Pattern(where, (subjects,)),
        Pattern(owned, (people, things, ADJECTIVES)),
    ]


def weather(
    kind: tuple[str, str], degree: tuple[str, str], occasion: tuple[str, str], no: bool
) -> Phrase:
    """The weather is fine: il fait beau."""
    subject, verb = Unit("the weather", "il"), Unit("is", "fait")
    rest = Unit(*degree), Unit(*kind), Unit(*occasion)
    ne, pas = Unit("not", "ne"), Unit("", "pas")
    if not no:
        return Phrase((subject, verb, *rest), (subject, verb, *rest))
    return Phrase((subject, verb, ne, *rest), (subject, ne, verb, pas, *rest))


def asked_weather(
    kind: tuple[str, str], degree: tuple[str, str], occasion: tuple[str, str]
) -> Phrase:
    """Is the weather fine? Est-ce qu'il fait beau ?"""
    subject, verb, ask = Unit("the weather", "il"), Unit("is", "fait"), Unit("", "est-ce qu'")
    rest = Unit(*degree), Unit(*kind), Unit(*occasion), Unit("?", "?")
    return Phrase((verb, subject, *rest), (ask, subject, verb, *rest))


def conjugate(subject: tuple, verb: Verb, is_third: bool | None = None) -> tuple[Unit, Unit]:
    en, fr, form, third = subject
    third = third if is_third is None else is_third
    return Unit(en, elide(fr, verb.fr[form])), Unit(
        verb.en_third if third else verb.en, verb.fr[form]
    )


def statement(subject: tuple, verb: Verb, thing: Phrase) -> Phrase:
    who, does = conjugate(subject, verb)
    return Phrase((who, does, *thing.en), (who, does, *thing.fr))


def denial(subject: tuple, verb: Verb, thing: Phrase) -> Phrase:
    _, does = conjugate(subject, verb, False)
    who = Unit(subject[0], subject[1])
    helper = Unit("does" if subject[3] else "do", "")
    negation = Unit("not", elide("ne", does.fr)), Unit("", "pas")
    return Phrase(
        (who, helper, negation[0], does, *thing.en),
        (who, negation[0], does, negation[1], *thing.fr),
    )


def question(subject: tuple, verb: Verb, thing: Phrase) -> Phrase:
    who, does = conjugate(subject, verb, False)
    that = "est-ce qu'" if starts_with_vowel(who.fr) else "est-ce que"
    ask = Unit("does" if subject[3] else "do", that)
    mark = Unit("?", "?")
    return Phrase((ask, who, does, *thing.en, mark), (ask, who, does, *thing.fr, mark))


def pronoun(subject: tuple, verb: Verb, thing: tuple[str, str], no: bool) -> Phrase:
    """I see him, je le vois; with the negation around both."""
    who, does = conjugate(subject, verb, False if no else None)
    whom = Unit(thing[0], elide(thing[1], does.fr))
    who = Unit(who.en, subject[1])
    if not no:
        return Phrase((who, does, whom), (who, whom, does))
    helper, negation = Unit("does" if subject[3] else "do", ""), Unit("not", "ne")
    return Phrase((who, helper, negation, does, whom), (who, negation, whom, does, Unit("", "pas")))


def wish(subject: tuple, verb: Verb, thing: Phrase) -> Phrase:
    """I want to see ..."""
    who, wants = conjugate(subject, VERBS[5])
    to = Unit("to " + verb.en, verb.infinitive)
    return Phrase((who, wants, to, *thing.en), (who, wants, to, *thing.fr))


def quality_of(determiner: str, noun: Noun, plural: bool, adjective: Adjective) -> tuple:
    """A noun phrase, the verb, and the adjective that is said of it."""
    quality = Unit(adjective.en, inflect(adjective, noun, plural))
    return noun_phrase(determiner, noun, plural), ARE if plural else IS, quality


def described(*key: Any) -> Phrase:
    thing, be, quality = quality_of(*key)
    return Phrase((*thing.en, be, quality), (*thing.fr, be, quality))


def not_described(*key: Any) -> Phrase:
    thing, be, quality = quality_of(*key)
    no, pas = Unit("not", elide("ne", be.fr)), Unit("", "pas")
    return Phrase((*thing.en, be, no, quality), (*thing.fr, no, be, pas, quality))


def asked(*key: Any) -> Phrase:
    thing, be, quality = quality_of(*key)
    ask, mark = Unit("", "est-ce que"), Unit("?", "?")
    return Phrase((be, *thing.en, quality, mark), (ask, *thing.fr, be, quality, mark))


def located(subject: tuple[Phrase, bool], place: Phrase) -> Phrase:
    thing, plural = subject
    be, within = ARE if plural else IS, Unit("in", "dans")
    return Phrase((*thing.en, be, within, *place.en), (*thing.fr, be, within, *place.fr))


def counted(number: tuple[str, str], noun: Noun, place: Phrase) -> Phrase:
    there = Unit("there are", "il y a")
    units = (there, Unit(*number), Unit(noun.en_plural, noun.fr_plural), Unit("in", "dans"))
    return Phrase((*units, *place.en), (*units, *place.fr))


def order(verb: Verb, thing: Phrase) -> Phrase:
    do, mark = Unit(verb.en, verb.fr[3]), Unit("!", "!")
    return Phrase((do, *thing.en, mark), (do, *thing.fr, mark))


def where(subject: tuple[Phrase, bool]) -> Phrase:
    thing, plural = subject
    units = Unit("where", "où"), ARE if plural else IS
    mark = Unit("?", "?")
    return Phrase((*units, *thing.en, mark), (*units, *thing.fr, mark))


def owned(person: Noun, noun: Noun, adjective: Adjective) -> Phrase:
    """My sister's car is red: la voiture de ma sœur est rouge."""
    owner, of = noun_phrase("my", person, False), Unit("'s", "de")
    the, _ = noun_phrase("the", noun, False).fr
    thing, quality = Unit(noun.en, noun.fr), Unit(adjective.en, inflect(adjective, noun, False))
    return Phrase(
        (*owner.en, of, thing, IS, quality),
        (Unit("", the.fr), thing, of, *owner.fr, IS, quality),
    )


def write_out(units: tuple[Unit, ...], side: int) -> tuple[str, list[int]]:
    """The text of one side, and for each of its tokens the index of its unit."""
    words = [unit[side] for unit in units]
    stop = [] if words[-1] in ("?", "!") else ["."]
    text, owners = "", []
    for number, word in enumerate([*words, *stop]):
        glued = not text or text.endswith("'") or word in (".", "'s", "")
        if side == 0 and word in ("?", "!"):
            glued = True
        text += word if glued else " " + word
        owners += [number] * len(TOKEN.findall(word))
    return text[0].upper() + text[1:], owners


def make_pair(phrase: Phrase) -> tuple[str, str, str]:
    """English, French, and the alignment: "i-j" for token i of the one and j of the other."""
    en, en_units = write_out(phrase.en, 0)
    fr, fr_units = write_out(phrase.fr, 1)
    names = {id(unit): n for n, unit in enumerate(phrase.en)}
    to_en = [names.get(id(unit), -1) for unit in phrase.fr] + [len(phrase.en)]
    links = [
        f"{i}-{j}"
        for i, unit in enumerate(en_units)
        for j, other in enumerate(fr_units)
        if to_en[other] == unit
    ]
    return en, fr, " ".join(links)


def sample_pairs(size: int, seed: int) -> list[tuple[str, str, str]]:
    """Distinct pairs, each pattern in turn for as long as it lasts."""
    rng = random.Random(seed)
    stock = [
        map(pattern.sentence, rng.sample(range(len(pattern)), min(size, len(pattern))))
        for pattern in patterns()
    ]
    pairs: dict[str, tuple[str, str, str]] = {}
    while stock and len(pairs) < size:
        for pattern in list(stock):
            phrase = next(pattern, None)
            if phrase is None:
                stock.remove(pattern)
                continue
            pair = make_pair(phrase)
            pairs.setdefault(pair[0], pair)
    found = list(pairs.values())[:size]
    rng.shuffle(found)
    return found


def main(output: Path, size: int = SIZE, seed: int = 0) -> None:
    """Write train.tsv, dev.tsv and test.tsv (English, French), beside each an .align with
    "i-j" for token i of the one and j of the other, and ten sentences as samples.txt."""
    pairs = sample_pairs(size, seed)
    output.mkdir(parents=True, exist_ok=True)
    held = len(pairs) // 24
    parts = {"test": pairs[:held], "dev": pairs[held : 2 * held], "train": pairs[2 * held :]}
    for name, part in parts.items():
        rows = "".join(f"{en}\t{fr}\n" for en, fr, _ in part)
        (output / f"{name}.tsv").write_text(rows, encoding="utf8", newline="\n")
        links = "".join(f"{found}\n" for _, _, found in part)
        (output / f"{name}.align").write_text(links, encoding="utf8", newline="\n")
    samples = "".join(f"{en}\n" for en, _, _ in parts["test"][:10])
    (output / "samples.txt").write_text(samples, encoding="utf8", newline="\n")
    sizes = ", ".join(f"{len(part)} {name}" for name, part in parts.items())
    msg.good(f"Wrote {len(pairs)} pairs to {output} ({sizes})")


if __name__ == "__main__":
    typer.run(main)
