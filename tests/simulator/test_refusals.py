"""What the API refuses: keys and bodies."""

import asyncio

import pytest
from openai import AuthenticationError, BadRequestError
from perdure.simulator import Simulator


def test_a_wrong_or_missing_key_is_refused_and_echoed_masked(simulator: Simulator) -> None:
    async def main() -> None:
        async with simulator.client(api_key="sk-wrong-0123456789", max_retries=0) as client:
            with pytest.raises(
                AuthenticationError, match=r"Incorrect API key provided: sk-wrong\*+6789\."
            ) as e:
                await client.responses.create(model="o3", input="Go.", background=True)
            assert e.value.code == "invalid_api_key"
        assert simulator.ledger().accepted() == ()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"input": "x"}, "Missing required parameter: 'model'."),
        ({"model": "o3"}, "Missing required parameter: one of 'input'"),
        ({"model": "o3", "input": 7}, "Invalid type for 'input': expected a string or an array"),
        (
            {"model": "o3", "input": "x", "background": True, "store": False},
            "Background mode requires 'store'",
        ),
        (
            {"model": "o3", "input": "x", "metadata": {"a": 1}},
            "Invalid type for 'metadata.a': expected a string",
        ),
        ({"model": "o3", "input": "x", "metadata": {"a": "b" * 513}}, "'metadata.a': string too long"),
        ({"model": "o3", "input": "x", "metadata": {str(n): "" for n in range(17)}}, "too many properties"),
        ({"model": "o3", "input": "x", "max_output_tokens": 3}, "integer below minimum value"),
        (
            {
                "model": "o3",
                "input": "x",
                "text": {
                    "format": {
                        "type": "json_schema",
                        "name": "r",
                        "strict": True,
                        "schema": {"type": "object", "properties": {}},
                    }
                },
            },
            "'additionalProperties' is required to be supplied and to be false",
        ),
    ],
)
def test_what_the_api_refuses_is_refused(simulator: Simulator, body: dict[str, object], message: str) -> None:
    async def main() -> None:
        async with simulator.client(max_retries=0) as client:
            with pytest.raises(BadRequestError, match=message):
                await client.post("/responses", cast_to=object, body=body)
        account = simulator.ledger()
        assert [request.outcome for request in account.submissions()] == ["refused"]
        assert account.responses == ()

    asyncio.run(main())
