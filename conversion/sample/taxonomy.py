"""The names of taxa: real classes, orders, families, subfamilies, genera and epithets.

Where a sample needs more species than are listed, a genus takes further epithets, so that not
every binomial stands for a described species.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

PHYLUM: Final = "Arthropoda"


@dataclass(frozen=True, slots=True)
class Genus:
    """One genus with all that stands above it.

    Attributes:
        class_name: Such as ``Insecta``.
        order: Such as ``Diptera``.
        family: Such as ``Phoridae``.
        subfamily: Such as ``Metopininae``, or ``unassigned Sciaridae``.
        name: The genus itself.
        epithets: Species of the genus, without its name.
        form: How its members look; a key of ``specimen.FORMS``.
        weight: How common its members are, relative to other genera.
    """

    class_name: str
    order: str
    family: str
    subfamily: str
    name: str
    epithets: tuple[str, ...]
    form: str
    weight: float


# Class, order, share of the specimens in percent, and the form of its members.
_ORDERS: Final = """
Insecta Diptera 70 fly
Insecta Hymenoptera 11 wasp
Insecta Hemiptera 5 bug
Insecta Lepidoptera 4 moth
Insecta Coleoptera 3.5 beetle
Insecta Psocodea 0.8 barklouse
Insecta Thysanoptera 0.6 thrips
Insecta Trichoptera 0.4 moth
Insecta Orthoptera 0.3 cricket
Insecta Neuroptera 0.3 lacewing
Insecta Ephemeroptera 0.2 mayfly
Insecta Blattodea 0.2 cricket
Collembola Entomobryomorpha 1.4 springtail
Collembola Symphypleona 0.5 globe
Collembola Poduromorpha 0.2 springtail
Arachnida Araneae 0.7 spider
Arachnida Trombidiformes 0.6 mite
Arachnida Sarcoptiformes 0.5 mite
Malacostraca Isopoda 0.1 woodlouse
Diplopoda Julida 0.05 millipede
Chilopoda Lithobiomorpha 0.05 millipede
"""

# Order, family, subfamily (- where unassigned), genus, species. A trailing * marks the families
# of slender flies with long legs.
_GENERA: Final = """
Diptera Cecidomyiidae* Cecidomyiinae Contarinia tritici nasturtii pyrivora pisi
Diptera Cecidomyiidae* Cecidomyiinae Dasineura mali brassicae urticae ulmaria
Diptera Cecidomyiidae* Cecidomyiinae Mayetiola destructor avenae hordei
Diptera Cecidomyiidae* Micromyinae Campylomyza flavipes ormerodi
Diptera Cecidomyiidae* Lestremiinae Lestremia cinerea leucophaea
Diptera Cecidomyiidae* Porricondylinae Asynapta thuraui strobi
Diptera Chironomidae* Chironominae Chironomus riparius plumosus anthracinus tentans
Diptera Chironomidae* Chironominae Tanytarsus mendax eminulus usmaensis
Diptera Chironomidae* Chironominae Polypedilum nubeculosum scalaenum pedestre
Diptera Chironomidae* Orthocladiinae Cricotopus bicinctus trifascia sylvestris
Diptera Chironomidae* Orthocladiinae Limnophyes minimus natalensis asquamatus
Diptera Chironomidae* Tanypodinae Ablabesmyia monilis phatta
Diptera Sciaridae* - Bradysia impatiens ocellaris trivittata confinis
Diptera Sciaridae* - Lycoriella castanescens ingenua sativae
Diptera Sciaridae* - Corynoptera forcipata tetrachaeta
Diptera Sciaridae* - Scatopsciara atomaria vitripennis
Diptera Ceratopogonidae* Forcipomyiinae Forcipomyia bipunctata ciliata brevipennis
Diptera Ceratopogonidae* Ceratopogoninae Culicoides imicola obsoletus pulicaris sonorensis
Diptera Ceratopogonidae* Dasyheleinae Dasyhelea modesta flavifrons
Diptera Mycetophilidae* Mycetophilinae Mycetophila fungorum ruficollis
Diptera Psychodidae* Psychodinae Psychoda alternata phalaenoides
Diptera Culicidae* Culicinae Culex pipiens quinquefasciatus tarsalis
Diptera Culicidae* Culicinae Aedes aegypti vexans cinereus
Diptera Limoniidae* Limoniinae Dicranomyia modesta chorea
Diptera Phoridae Metopininae Megaselia scalaris rufipes halterata giraudii
Diptera Phoridae Metopininae Woodiphora retroversa parvula
Diptera Phoridae Phorinae Phora atra stictica
Diptera Chloropidae Oscinellinae Oscinella frit hortensis pusilla
Diptera Chloropidae Chloropinae Thaumatomyia notata glabra
Diptera Drosophilidae Drosophilinae Drosophila melanogaster simulans suzukii immigrans
Diptera Drosophilidae Drosophilinae Scaptomyza pallida flava
Diptera Muscidae Coenosiinae Coenosia attenuata tigrina
Diptera Muscidae Muscinae Musca domestica autumnalis
Diptera Agromyzidae Phytomyzinae Liriomyza trifolii huidobrensis sativae
Diptera Agromyzidae Phytomyzinae Phytomyza ilicis ranunculi
Diptera Dolichopodidae Medeterinae Medetera truncorum jacula
Diptera Dolichopodidae Sciapodinae Condylostylus sipho patibulatus
Diptera Hybotidae Tachydromiinae Platypalpus minutus pallidiventris
Diptera Ephydridae Hydrelliinae Hydrellia griseola maura
Diptera Sphaeroceridae Limosininae Leptocera nigra fontinalis
Diptera Syrphidae Syrphinae Toxomerus marginatus geminatus
Diptera Tachinidae Exoristinae Lydella thompsoni stabulans
Diptera Anthomyiidae Anthomyiinae Delia platura radicum antiqua
Hymenoptera Platygastridae Platygastrinae Platygaster demades hiemalis
Hymenoptera Platygastridae Platygastrinae Synopeas rhanis muticus
Hymenoptera Scelionidae Telenominae Telenomus remus podisi
Hymenoptera Scelionidae Teleasinae Trimorus pedestris varicornis
Hymenoptera Braconidae Microgastrinae Apanteles galleriae opacus
Hymenoptera Braconidae Microgastrinae Cotesia glomerata rubecula
Hymenoptera Braconidae Aphidiinae Aphidius ervi colemani matricariae
Hymenoptera Ichneumonidae Orthocentrinae Orthocentrus spurius fulvipes
Hymenoptera Ichneumonidae Campopleginae Diadegma semiclausum insulare
Hymenoptera Eulophidae Entedoninae Chrysocharis pentheus nephereus
Hymenoptera Eulophidae Tetrastichinae Aprostocetus zosimus caudatus
Hymenoptera Pteromalidae Pteromalinae Pteromalus puparum albipennis
Hymenoptera Mymaridae - Anagrus atomus nilaparvatae
Hymenoptera Encyrtidae Encyrtinae Copidosoma floridanum truncatellum
Hymenoptera Diapriidae Diapriinae Trichopria drosophilae aequata
Hymenoptera Formicidae Formicinae Lasius niger flavus
Hymenoptera Formicidae Myrmicinae Pheidole megacephala pallidula
Hymenoptera Halictidae Halictinae Lasioglossum zephyrum malachurum
Hemiptera Cicadellidae Typhlocybinae Empoasca fabae vitis decipiens
Hemiptera Cicadellidae Deltocephalinae Macrosteles quadrilineatus laevis
Hemiptera Aphididae Aphidinae Aphis fabae gossypii craccivora
Hemiptera Aphididae Aphidinae Myzus persicae cerasi
Hemiptera Miridae Phylinae Phoenicocoris obscurellus minusculus
Hemiptera Miridae Mirinae Lygus pratensis rugulipennis
Hemiptera Delphacidae Delphacinae Javesella pellucida dubia
Hemiptera Aleyrodidae Aleyrodinae Bemisia tabaci afer
Hemiptera Anthocoridae Anthocorinae Orius insidiosus laevigatus
Lepidoptera Gelechiidae Gelechiinae Tuta absoluta
Lepidoptera Gelechiidae Gelechiinae Caryocolum tricolorella alsinella
Lepidoptera Nepticulidae - Ectoedemia minimella sericopeza
Lepidoptera Nepticulidae - Stigmella malella aurella
Lepidoptera Tineidae Tineinae Tinea pellionella trinotella
Lepidoptera Gracillariidae Lithocolletinae Phyllonorycter blancardella messaniella
Lepidoptera Noctuidae Noctuinae Agrotis ipsilon segetum
Lepidoptera Tortricidae Olethreutinae Cydia pomonella splendana
Lepidoptera Crambidae Crambinae Crambus lathoniellus perlella
Coleoptera Staphylinidae Aleocharinae Atheta coriaria fungi
Coleoptera Staphylinidae Oxytelinae Anotylus rugosus tetracarinatus
Coleoptera Chrysomelidae Galerucinae Phyllotreta striolata cruciferae
Coleoptera Chrysomelidae Eumolpinae Colaspis brunnea hypochlora
Coleoptera Scraptiidae Anaspidinae Anaspis frontalis rufilabris
Coleoptera Curculionidae Scolytinae Xyleborus ferrugineus affinis
Coleoptera Curculionidae Entiminae Sitona lineatus hispidulus
Coleoptera Carabidae Trechinae Bembidion lampros tetracolum
Coleoptera Coccinellidae Coccinellinae Harmonia axyridis quadripunctata
Coleoptera Latridiidae Corticariinae Cortinicara gibbosa
Coleoptera Ptiliidae - Acrotrichis fascicularis intermedia
Psocodea Ectopsocidae - Ectopsocus briggsi meridionalis
Psocodea Lachesillidae - Lachesilla pedicularia quercus
Thysanoptera Thripidae Thripinae Frankliniella occidentalis intonsa
Thysanoptera Thripidae Thripinae Thrips tabaci palmi
Thysanoptera Phlaeothripidae Phlaeothripinae Haplothrips aculeatus tritici
Trichoptera Hydropsychidae Hydropsychinae Hydropsyche siltalai pellucidula
Trichoptera Hydroptilidae Hydroptilinae Oxyethira flavicornis frici
Orthoptera Trigonidiidae Nemobiinae Allonemobius fasciatus socius
Orthoptera Acrididae Gomphocerinae Chorthippus parallelus brunneus
Neuroptera Chrysopidae Chrysopinae Chrysoperla carnea rufilabris
Neuroptera Coniopterygidae Coniopteryginae Coniopteryx tineiformis borealis
Ephemeroptera Baetidae - Baetis rhodani tricaudatus
Ephemeroptera Caenidae - Caenis luctuosa horaria
Blattodea Ectobiidae Ectobiinae Ectobius sylvestris lapponicus
Entomobryomorpha Entomobryidae Entomobryinae Entomobrya nivalis multifasciata
Entomobryomorpha Entomobryidae Lepidocyrtinae Lepidocyrtus cyaneus lignorum
Entomobryomorpha Isotomidae Isotominae Isotoma viridis anglicana
Symphypleona Sminthuridae Sminthurinae Sminthurus viridis
Symphypleona Katiannidae - Sminthurinus elegans aureus
Poduromorpha Hypogastruridae - Ceratophysella denticulata gibbosa
Araneae Linyphiidae Erigoninae Erigone atra dentipalpis
Araneae Linyphiidae Linyphiinae Tenuiphantes tenuis flavipes
Araneae Theridiidae Pholcommatinae Theonoe minutissima
Araneae Salticidae Salticinae Salticus scenicus cingulatus
Trombidiformes Tetranychidae Tetranychinae Tetranychus urticae cinnabarinus
Trombidiformes Erythraeidae - Balaustium murorum
Trombidiformes Eupodidae - Eupodes variegatus
Sarcoptiformes Scheloribatidae - Scheloribates laevigatus pallidulus
Sarcoptiformes Ceratozetidae - Ceratozetes gracilis
Isopoda Trichoniscidae Trichoniscinae Trichoniscus pusillus
Julida Blaniulidae - Blaniulus guttulatus
Lithobiomorpha Lithobiidae Lithobiinae Lithobius forficatus
"""

# Epithets that agree with a genus of any grammatical gender.
_FURTHER_EPITHETS: Final = """
canadensis orientalis occidentalis insularis septentrionalis montivagans alticola sylvicola
similis gracilis nobilis vulgaris agilis humilis tenuis brevis mirabilis communis simplex
elegans fulgens pallens nigrescens rufescens virescens nigripes albipes fuscipes luteipes
dorsalis lateralis ventralis facialis abdominalis costalis apicalis basalis marginalis
nigricornis ruficornis longicornis brevicornis tenuicornis nigriceps flaviceps ruficeps
longipes pilipes hirtipes crassipes nigriventris flaviventris ruficauda nigricauda
albipennis fuscipennis nigripennis fenestralis trilineans recens latens errans volans
costaricensis peruensis thailandensis kenyensis norvegiensis queenslandensis ontariensis
"""


@cache
def genera() -> tuple[Genus, ...]:
    """Every genus, with shares that make Diptera dominate as they do upstream."""
    orders = {line.split()[1]: line.split() for line in _ORDERS.strip().splitlines()}
    rows = [line.split() for line in _GENERA.strip().splitlines()]
    siblings = [row[0] for row in rows]
    listed = []
    for order, family_mark, subfamily, name, *epithets in rows:
        class_name, _, share, form = orders[order]
        family = family_mark.rstrip("*")
        listed.append(
            Genus(
                class_name=class_name,
                order=order,
                family=family,
                subfamily=f"unassigned {family}" if subfamily == "-" else subfamily,
                name=name,
                epithets=tuple(dict.fromkeys((*epithets, *_FURTHER_EPITHETS.split()))),
                form="midge" if family_mark.endswith("*") else form,
                weight=float(share) / siblings.count(order),
            )
        )
    return tuple(listed)
