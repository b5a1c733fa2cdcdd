"""List the names for synthetic specimens: taxa down to genera, species epithets, and places.

A species name is a genus with any of the epithets, so not every name is a described species.
"""

from __future__ import annotations

from typing import Final, NamedTuple

PHYLUM: Final = "Arthropoda"


class Genus(NamedTuple):
    """One genus, with its higher taxa and the key of its members' shape in ``FORMS``."""

    class_name: str
    order: str
    family: str
    subfamily: str
    name: str
    form: str
    weight: float


# Each line: the form of the genera, how common each is, their higher ranks, and the genera. Diptera
# dominate, as in upstream's data. "-" stands for a subfamily that BOLD calls "unassigned".
_TABLE: Final = """
midge 4.1 Insecta Diptera Cecidomyiidae Cecidomyiinae Contarinia Dasineura
midge 4.1 Insecta Diptera Chironomidae Chironominae Chironomus Tanytarsus
midge 4.1 Insecta Diptera Chironomidae Orthocladiinae Cricotopus
midge 4.1 Insecta Diptera Sciaridae - Bradysia
midge 4.1 Insecta Diptera Ceratopogonidae Ceratopogoninae Culicoides
midge 4.1 Insecta Diptera Psychodidae Psychodinae Psychoda
midge 4.1 Insecta Diptera Culicidae Culicinae Culex
fly 4.1 Insecta Diptera Phoridae Metopininae Megaselia
fly 4.1 Insecta Diptera Chloropidae Oscinellinae Oscinella
fly 4.1 Insecta Diptera Drosophilidae Drosophilinae Drosophila
fly 4.1 Insecta Diptera Muscidae Muscinae Musca
fly 4.1 Insecta Diptera Agromyzidae Phytomyzinae Liriomyza
fly 4.1 Insecta Diptera Syrphidae Syrphinae Toxomerus
wasp 1.1 Insecta Hymenoptera Scelionidae Telenominae Telenomus
wasp 1.1 Insecta Hymenoptera Braconidae Microgastrinae Apanteles Cotesia Glyptapanteles
wasp 1.1 Insecta Hymenoptera Ichneumonidae Campopleginae Diadegma
wasp 1.1 Insecta Hymenoptera Eulophidae Tetrastichinae Aprostocetus
ant 1.1 Insecta Hymenoptera Formicidae Formicinae Lasius
ant 1.1 Insecta Hymenoptera Formicidae Myrmicinae Pheidole Solenopsis
bug 1.2 Insecta Hemiptera Cicadellidae Typhlocybinae Empoasca
bug 1.2 Insecta Hemiptera Aphididae Aphidinae Aphis Myzus
bug 1.2 Insecta Hemiptera Miridae Mirinae Lygus
moth 0.8 Insecta Lepidoptera Gelechiidae Gelechiinae Tuta
moth 0.8 Insecta Lepidoptera Nepticulidae - Ectoedemia Stigmella
moth 0.8 Insecta Lepidoptera Noctuidae Noctuinae Agrotis
moth 0.8 Insecta Lepidoptera Tortricidae Olethreutinae Cydia
beetle 0.7 Insecta Coleoptera Staphylinidae Aleocharinae Atheta
beetle 0.7 Insecta Coleoptera Curculionidae Scolytinae Xyleborus
beetle 0.7 Insecta Coleoptera Carabidae Trechinae Bembidion
ladybird 0.7 Insecta Coleoptera Coccinellidae Coccinellinae Harmonia Coccinella
bug 0.8 Insecta Psocodea Ectopsocidae - Ectopsocus
moth 0.4 Insecta Trichoptera Hydropsychidae Hydropsychinae Hydropsyche
lacewing 0.3 Insecta Ephemeroptera Baetidae - Baetis Cloeon
lacewing 0.3 Insecta Neuroptera Chrysopidae Chrysopinae Chrysoperla
springtail 0.7 Collembola Entomobryomorpha Entomobryidae Entomobryinae Entomobrya
springtail 0.7 Collembola Entomobryomorpha Isotomidae Isotominae Isotoma
springtail 0.5 Collembola Symphypleona Sminthuridae Sminthurinae Sminthurus
spider 0.4 Arachnida Araneae Linyphiidae Erigoninae Erigone
spider 0.4 Arachnida Araneae Salticidae Salticinae Salticus
mite 0.5 Arachnida Trombidiformes Tetranychidae Tetranychinae Tetranychus Panonychus
"""

# These epithets agree with a genus of any grammatical gender.
_EPITHETS: Final = """
canadensis orientalis occidentalis insularis septentrionalis montivagans alticola sylvicola
similis gracilis nobilis vulgaris agilis humilis tenuis brevis mirabilis communis simplex
elegans fulgens pallens nigrescens rufescens virescens nigripes albipes fuscipes luteipes
dorsalis lateralis ventralis facialis abdominalis costalis apicalis basalis marginalis
nigricornis ruficornis longicornis brevicornis tenuicornis nigriceps flaviceps ruficeps
longipes pilipes hirtipes crassipes nigriventris flaviventris ruficauda nigricauda
albipennis fuscipennis nigripennis fenestralis trilineans recens latens errans volans
costaricensis peruensis thailandensis kenyensis norvegiensis queenslandensis ontariensis
"""


def _genera(line: str) -> list[Genus]:
    form, weight, class_name, order, family, subfamily, *names = line.split()
    within = f"unassigned {family}" if subfamily == "-" else subfamily
    return [Genus(class_name, order, family, within, name, form, float(weight)) for name in names]


EPITHETS: Final = tuple(_EPITHETS.split())
GENERA: Final = tuple(genus for line in _TABLE.strip().splitlines() for genus in _genera(line))
FORM_NAMES: Final = sorted({genus.form for genus in GENERA})


class Place(NamedTuple):
    """A country, the latitude and longitude of its middle, and some of its provinces or states."""

    country: str
    latitude: float
    longitude: float
    provinces: tuple[str, ...] = ("",)


PLACES: Final = (
    Place("Costa Rica", 10.3, -84.1, ("Guanacaste", "Heredia", "Alajuela", "Puntarenas")),
    Place("South Africa", -25.9, 29.1, ("Mpumalanga", "Limpopo", "Western Cape", "Gauteng")),
    Place("Pakistan", 33.5, 73.2, ("Azad Kashmir", "Punjab", "Islamabad")),
    Place("Canada", 45.6, -79.8, ("Ontario", "British Columbia", "Nova Scotia", "Alberta")),
    Place("Norway", 62.9, 10.8, ("Trondelag", "Viken", "Innlandet")),
    Place("Peru", -12.3, -72.0, ("Cuzco", "Loreto", "Madre de Dios")),
    Place("Thailand", 15.2, 101.1, ("Nakhon Ratchasima", "Chiang Mai", "Phetchaburi")),
    Place("Egypt", 29.9, 31.3, ("Qalyubia", "Giza")),
    Place("Argentina", -26.3, -57.2, ("Misiones", "Salta")),
    Place("Australia", -26.4, 148.6, ("Queensland", "New South Wales", "Tasmania")),
    Place("Kenya", -0.2, 36.5, ("Nyeri", "Kakamega")),
    Place("Germany", 50.3, 11.1, ("Bavaria", "Brandenburg")),
    Place("United States", 34.9, -101.7, ("California", "Texas", "Florida")),
    Place("Malta", 35.9, 14.4),
)

# Values that a careless reader splits, unquotes, garbles or takes for missing values.
AWKWARD_PLACES: Final = (
    Place("Namibia", -22.3, 17.2, ("NA",)),
    Place("Finland", 60.2, 20.0, ("Åland",)),
    Place("Côte d'Ivoire", 5.7, -6.6, ("Bas-Sassandra",)),
    Place("Costa Rica", 9.9, -84.0, ('"Finca" San José, Norte',)),
    Place("Curaçao", 12.2, -69.0, ("None",)),
    Place("Tanzania, United Republic of", -6.2, 35.0, ("nan",)),
    Place("NA", 0.0, 0.0, ("NULL",)),
    Place("Viet Nam", 16.3, 107.5, ("Thừa Thiên Huế",)),
)
