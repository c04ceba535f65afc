/**
 * Where pseudonyms are read back: in those places alone in which the control plane puts them. A pseudonym in a statement is
 * text that somebody wrote; were it read back there, whoever runs `SELECT 'person-…'` and looks at the own session learns
 * who is behind it.
 */

type Fields = Readonly<Record<string, unknown>>
type Read = (text: string) => string

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Fields of events that hold a name, words about somebody, or an object or a list of such. Not `text`, `effects`, `parameters`, `requirements`: those are the command. */
const ownPlaces = ['by', 'user', 'actor', 'held_identity', 'client_address', 'claims', 'reviewers', 'reason', 'message', 'detail', 'query'] as const

/** A stored body with what `read` makes of its pseudonyms. Undefined when it isn't JSON of an event: somebody changed it in the database. */
export function readBack(body: string, read: Read): string | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    return undefined
  }
  if (!isFields(parsed)) return undefined
  const event = parsed['event']
  const head = { ...places(parsed, ['who', 'claims'], read), ...identityOf(parsed, read) }
  return JSON.stringify({ ...parsed, ...head, ...(isFields(event) ? { event: { ...event, ...(parsed['source'] === 'control-plane' ? ofControlPlane(event, read) : ofAgent(event, read)) } } : {}) })
}

function ofControlPlane(event: Fields, read: Read): Fields {
  const changes = event['changes']
  return {
    ...places(event, ownPlaces, read),
    ...identityOf(event, read),
    ...(Array.isArray(changes) ? { changes: changes.map((change: unknown) => (isFields(change) && change['kind'] === 'User' ? { ...change, ...places(change, ['name'], read) } : change)) } : {}),
  }
}

/** What agents were given to write: who decided and why, and why a session was ended. What they write besides comes from clients and targets. */
function ofAgent(event: Fields, read: Read): Fields {
  if (event['kind'] === 'command.released') return places(event, ['reviewers', 'reason'], read)
  return event['kind'] === 'session.end' && event['reason'] === 'killed' ? places(event, ['detail'], read) : {}
}

function identityOf(fields: Fields, read: Read): Fields {
  const identity = fields['identity']
  return isFields(identity) && identity['kind'] === 'user' ? { identity: { ...identity, ...places(identity, ['name'], read) } } : {}
}

function places(fields: Fields, names: readonly string[], read: Read): Fields {
  return Object.fromEntries(names.flatMap((name) => (Object.hasOwn(fields, name) ? [[name, inside(fields[name], read)]] : [])))
}

function inside(value: unknown, read: Read): unknown {
  if (typeof value === 'string') return read(value)
  if (Array.isArray(value)) return value.map((item: unknown) => (typeof item === 'string' ? read(item) : item))
  return isFields(value) ? Object.fromEntries(Object.entries(value).map(([name, item]) => [name, typeof item === 'string' ? read(item) : item])) : value
}
