"""List the names of taxa: real classes, orders, families, subfamilies and genera, and epithets.

A species is a genus with any of the epithets, so not every binomial stands for a described species.
"""

from __future__ import annotations

from typing import Final, NamedTuple

PHYLUM: Final = "Arthropoda"


class Genus(NamedTuple):
    """One genus, what stands above it, and the key of ``FORMS`` that its members look like."""

    class_name: str
    order: str
    family: str
    subfamily: str
    name: str
    form: str
    weight: float


# How common the members of a genus are stands last: Diptera dominate as they do upstream. Where
# BOLD assigns no subfamily, it says "unassigned".
_TABLE: Final = """
Insecta Diptera Cecidomyiidae Cecidomyiinae Contarinia midge 4.12
Insecta Diptera Cecidomyiidae Cecidomyiinae Dasineura midge 4.12
Insecta Diptera Chironomidae Chironominae Chironomus midge 4.12
Insecta Diptera Chironomidae Chironominae Tanytarsus midge 4.12
Insecta Diptera Chironomidae Orthocladiinae Cricotopus midge 4.12
Insecta Diptera Sciaridae - Bradysia midge 4.12
Insecta Diptera Ceratopogonidae Ceratopogoninae Culicoides midge 4.12
Insecta Diptera Psychodidae Psychodinae Psychoda midge 4.12
Insecta Diptera Culicidae Culicinae Culex midge 4.12
Insecta Diptera Phoridae Metopininae Megaselia fly 4.12
Insecta Diptera Chloropidae Oscinellinae Oscinella fly 4.12
Insecta Diptera Drosophilidae Drosophilinae Drosophila fly 4.12
Insecta Diptera Muscidae Muscinae Musca fly 4.12
Insecta Diptera Agromyzidae Phytomyzinae Liriomyza fly 4.12
Insecta Diptera Dolichopodidae Sciapodinae Condylostylus fly 4.12
Insecta Diptera Syrphidae Syrphinae Toxomerus fly 4.12
Insecta Diptera Anthomyiidae Anthomyiinae Delia fly 4.12
Insecta Hymenoptera Platygastridae Platygastrinae Platygaster wasp 1.1
Insecta Hymenoptera Scelionidae Telenominae Telenomus wasp 1.1
Insecta Hymenoptera Braconidae Microgastrinae Apanteles wasp 1.1
Insecta Hymenoptera Braconidae Aphidiinae Aphidius wasp 1.1
Insecta Hymenoptera Ichneumonidae Campopleginae Diadegma wasp 1.1
Insecta Hymenoptera Eulophidae Tetrastichinae Aprostocetus wasp 1.1
Insecta Hymenoptera Pteromalidae Pteromalinae Pteromalus wasp 1.1
Insecta Hymenoptera Formicidae Formicinae Lasius ant 1.1
Insecta Hymenoptera Formicidae Myrmicinae Pheidole ant 1.1
Insecta Hymenoptera Halictidae Halictinae Lasioglossum wasp 1.1
Insecta Hemiptera Cicadellidae Typhlocybinae Empoasca bug 1.25
Insecta Hemiptera Aphididae Aphidinae Aphis bug 1.25
Insecta Hemiptera Miridae Mirinae Lygus bug 1.25
Insecta Hemiptera Aleyrodidae Aleyrodinae Bemisia bug 1.25
Insecta Lepidoptera Gelechiidae Gelechiinae Tuta moth 0.8
Insecta Lepidoptera Nepticulidae - Ectoedemia moth 0.8
Insecta Lepidoptera Tineidae Tineinae Tinea moth 0.8
Insecta Lepidoptera Noctuidae Noctuinae Agrotis moth 0.8
Insecta Lepidoptera Tortricidae Olethreutinae Cydia moth 0.8
Insecta Coleoptera Staphylinidae Aleocharinae Atheta beetle 0.7
Insecta Coleoptera Chrysomelidae Galerucinae Phyllotreta beetle 0.7
Insecta Coleoptera Curculionidae Scolytinae Xyleborus beetle 0.7
Insecta Coleoptera Carabidae Trechinae Bembidion beetle 0.7
Insecta Coleoptera Coccinellidae Coccinellinae Harmonia ladybird 0.7
Insecta Psocodea Ectopsocidae - Ectopsocus bug 0.8
Insecta Trichoptera Hydropsychidae Hydropsychinae Hydropsyche moth 0.4
Insecta Orthoptera Acrididae Gomphocerinae Chorthippus cricket 0.3
Insecta Neuroptera Chrysopidae Chrysopinae Chrysoperla lacewing 0.3
Insecta Ephemeroptera Baetidae - Baetis lacewing 0.2
Collembola Entomobryomorpha Entomobryidae Entomobryinae Entomobrya springtail 0.7
Collembola Entomobryomorpha Isotomidae Isotominae Isotoma springtail 0.7
Collembola Symphypleona Sminthuridae Sminthurinae Sminthurus springtail 0.5
Arachnida Araneae Linyphiidae Erigoninae Erigone spider 0.35
Arachnida Araneae Salticidae Salticinae Salticus spider 0.35
Arachnida Trombidiformes Tetranychidae Tetranychinae Tetranychus mite 0.6
Arachnida Sarcoptiformes Scheloribatidae - Scheloribates mite 0.5
"""

# They agree with a genus of any grammatical gender.
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


def _genus(line: str) -> Genus:
    class_name, order, family, subfamily, name, form, weight = line.split()
    within = f"unassigned {family}" if subfamily == "-" else subfamily
    return Genus(class_name, order, family, within, name, form, float(weight))


GENERA: Final = tuple(_genus(line) for line in _TABLE.strip().splitlines())
EPITHETS: Final = tuple(_EPITHETS.split())
