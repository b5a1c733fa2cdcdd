from conversion.synthetic.forms import FORMS
from conversion.synthetic.vocabulary import GENERA


def test_genera_are_distinct_and_can_be_drawn() -> None:
    assert len({genus.name for genus in GENERA}) == len(GENERA)
    assert {genus.form for genus in GENERA} == set(FORMS)


def test_a_family_belongs_to_one_order() -> None:
    orders: dict[str, str] = {}
    for genus in GENERA:
        assert orders.setdefault(genus.family, genus.order) == genus.order


def test_flies_dominate() -> None:
    total = sum(genus.weight for genus in GENERA)
    assert sum(genus.weight for genus in GENERA if genus.order == "Diptera") > 0.6 * total


def test_several_classes_and_unassigned_subfamilies_occur() -> None:
    assert {"Insecta", "Arachnida", "Collembola"} <= {genus.class_name for genus in GENERA}
    assert "unassigned Sciaridae" in {genus.subfamily for genus in GENERA}
