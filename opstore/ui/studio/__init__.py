"""The parts of the Create page: pictures given, workflow and its reason, choices, the request, what is under way and was made.

A page imports the room it shows; what the person has set and not yet asked for lives in the session, under keys named where used.
"""
