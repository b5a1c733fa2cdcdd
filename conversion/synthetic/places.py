"""List where specimens were collected, awkward spellings included."""

from __future__ import annotations

from typing import Final, NamedTuple


class Place(NamedTuple):
    """A country, as text, the degrees of its middle, and some of its provinces or states."""

    country: str
    latitude: float
    longitude: float
    provinces: tuple[str, ...] = ()


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

# Values that a careless reader splits, unquotes, mangles or takes for a missing one.
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
