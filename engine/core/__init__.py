"""The pure core: what a run is and what follows from what happened to it. No IO, no clock, no randomness, no payloads.

It imports the standard library and the plain records of `checkpoints` alone, so that any driver can load it: the
asyncio one in `engine/runtime`, one in a test, one inside a sandbox that replays. `machine.advance` moves a run,
`pending.pending` says what is to be done for a state however it was reached.
"""
