"""One agent extracts flights from a page while another picks a seat, and plain Python chooses the flight.

    python -m examples.patterns.flight_search

The pattern is "Flight booking" of Pydantic AI:
https://github.com/pydantic/pydantic-ai/blob/main/examples/pydantic_ai_examples/flight_booking.py
Left out: a person is offered one flight after another. People and loops are not built yet; here the wishes come with
the input, and the cheapest flight that fits is booked.
"""

from datetime import date
from operator import attrgetter
from typing import Literal

from perdure import Agent, Context, Workflow, node, run_sync
from pydantic import BaseModel

PAGE = """
LH 17   Munich MUC - Oslo OSL      3 May 2027   210 EUR
SK 612  Munich MUC - Oslo OSL      3 May 2027   180 EUR
SK 614  Munich MUC - Oslo OSL      4 May 2027   90 EUR
DY 308  Munich MUC - Bergen BGO    3 May 2027   75 EUR
"""


class Trip(BaseModel):
    origin: str
    destination: str
    day: date
    seat: str


class Flight(BaseModel):
    number: str
    origin: str
    destination: str
    day: date
    price: int


class Flights(BaseModel):
    flights: list[Flight]


class Seat(BaseModel):
    row: int
    letter: Literal["A", "B", "C", "D", "E", "F"]


extractor = Agent("extractor", model="gpt-5", instructions="List the flights of the page.", output=Flights)
steward = Agent(
    "steward", model="gpt-5-mini", instructions="Choose a seat: 30 rows, windows at A and F.", output=Seat
)


@node
def receive(trip: Trip) -> Trip:
    return trip


@extractor.node
def extract(trip: Trip) -> str:
    return PAGE


@steward.node
def choose_seat(trip: Trip) -> str:
    return trip.seat


@node
def cheapest(page: Flights, ctx: Context) -> Flight | None:
    trip = ctx.input(flow)
    wanted = (trip.origin, trip.destination, trip.day)
    fitting = [flight for flight in page.flights if (flight.origin, flight.destination, flight.day) == wanted]
    return min(fitting, key=attrgetter("price"), default=None)


@node
def book(choice: tuple[Flight | None, Seat]) -> str:
    flight, seat = choice
    if flight is None:
        return "No flight fits."
    return f"Booked {flight.number} for {flight.price} EUR, seat {seat.row}{seat.letter}."


flow = Workflow("flight_search", start=receive, end=book)
flow.edge(receive, extract)
flow.edge(receive, choose_seat)
flow.edge(extract, cheapest)
flow.join((cheapest, choose_seat), book)

if __name__ == "__main__":
    trip = Trip(origin="MUC", destination="OSL", day=date(2027, 5, 3), seat="At the window, far in front.")
    print(run_sync(flow, trip))
