"""The words of the phrasebook, in English and in French."""

from typing import NamedTuple


class Unit(NamedTuple):
    """Words of both languages that say the same. Either side may be empty."""

    en: str
    fr: str


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


def content_words() -> set[str]:
    """All forms of the French nouns, adjectives, verbs and numbers, and what is said of the
    weather: the words that a translator must look up, whatever the sentence is."""
    found = {form for noun in [*NOUNS, *PLACES] for form in (noun.fr, noun.fr_plural)}
    found |= {form for adjective in ADJECTIVES for form in adjective[1:5] + adjective[6:]}
    found |= {form for verb in VERBS for form in (*verb.fr, verb.infinitive)}
    found |= {fr for _, fr in [*NUMBERS, *WEATHER]}
    return found - {""}
