"""List where specimens were collected, awkward spellings included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Place:
    """A country and some of its provinces.

    Attributes:
        country: Its name, as text; empty where it is unknown.
        provinces: Names of provinces or states; empty where none is ever given.
        latitude: Of its middle, in degrees.
        longitude: Of its middle, in degrees.
    """

    country: str
    provinces: tuple[str, ...]
    latitude: float
    longitude: float


PLACES: Final = (
    Place("Costa Rica", ("Guanacaste", "Heredia", "Alajuela", "Puntarenas"), 10.3, -84.1),
    Place("South Africa", ("Mpumalanga", "Limpopo", "Western Cape", "Gauteng"), -25.9, 29.1),
    Place("Pakistan", ("Azad Kashmir", "Punjab", "Islamabad"), 33.5, 73.2),
    Place("Canada", ("Ontario", "British Columbia", "Nova Scotia", "Alberta"), 45.6, -79.8),
    Place("Norway", ("Trondelag", "Viken", "Innlandet"), 62.9, 10.8),
    Place("Finland", ("Lapland", "Uusimaa"), 64.9, 26.3),
    Place("Sweden", ("Uppsala", "Skane", "Norrbotten"), 60.1, 16.7),
    Place("Peru", ("Cuzco", "Loreto", "Madre de Dios"), -12.3, -72.0),
    Place("Thailand", ("Nakhon Ratchasima", "Chiang Mai", "Phetchaburi"), 15.2, 101.1),
    Place("Egypt", ("Qalyubia", "Giza"), 29.9, 31.3),
    Place("Argentina", ("Misiones", "Salta"), -26.3, -57.2),
    Place("Australia", ("Queensland", "New South Wales", "Tasmania"), -26.4, 148.6),
    Place("Kenya", ("Nyeri", "Kakamega"), -0.2, 36.5),
    Place("Bangladesh", ("Dhaka", "Chittagong"), 23.4, 90.6),
    Place("Germany", ("Bavaria", "Brandenburg"), 50.3, 11.1),
    Place("United States", ("California", "Texas", "Florida"), 34.9, -101.7),
    Place("Lebanon", (), 33.9, 35.8),
    Place("Malta", (), 35.9, 14.4),
)

# Values that a careless reader splits, unquotes, mangles or takes for a missing one.
AWKWARD_PLACES: Final = (
    Place("Namibia", ("NA",), -22.3, 17.2),
    Place("Finland", ("Åland",), 60.2, 20.0),
    Place("Côte d'Ivoire", ("Bas-Sassandra",), 5.7, -6.6),
    Place("Costa Rica", ('"Finca" San José, Norte',), 9.9, -84.0),
    Place("Curaçao", ("None",), 12.2, -69.0),
    Place("Tanzania, United Republic of", ("nan",), -6.2, 35.0),
    Place("NA", ("NULL",), 0.0, 0.0),
    Place("Viet Nam", ("Thừa Thiên Huế",), 16.3, 107.5),
)
