"""A party that cheats in what it sends in a round, and believes it: its own piece is changed alike."""


def lie(protocol, target, error):
    """Add an error to the first word, or bits, of message number ``target`` of this rank. Returns what it changed."""
    done, seen = [], [0]
    exchange, rank = protocol.scheduler._exchange, protocol.party.rank

    def lying(passings):
        for passing in passings:
            if any(source == rank for source, _ in passing.routes) and passing.part.numel():
                if seen[0] == target:
                    first = passing.part.view(-1)[:1]
                    if passing.width is None:
                        first ^= error & 0xFF or 0x80
                    else:
                        sent = 8 * passing.width  # bits; what is above them nobody sees
                        first += error if error % (1 << sent) else 1 << (sent - 1)
                    done.append(passing)
                seen[0] += 1
        exchange(passings)

    protocol.scheduler._exchange = lying
    return done
