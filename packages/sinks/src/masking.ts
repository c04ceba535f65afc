import { createHmac } from 'node:crypto'
import type { SinkMask } from '@sallyport/policy'
import { fieldsOf, listOf, textOf, textsOf, type Fields, type ReadEvent } from './record.js'
import { firstWordOnly, sqlWithoutLiterals } from './statement.js'

/** Keys of one installation, 32 bytes each: the same value gives the same digest in every sink, and in no other installation. */
export interface MaskKeys {
  readonly statement: Uint8Array
  readonly identity: Uint8Array
}

/** Facts of an effect that name objects or say how, and never hold a value that a client wrote. Booleans pass in any case. */
const openDetails = new Set([
  'columns', 'columns_read', 'columns_written', 'namespace', 'verb', 'group', 'version', 'resource', 'subresource', 'because', 'method', 'kind', 'via', 'login', 'volatility',
])

/** Fields of an event that name a person, an identity or their machine. */
const identityFields = new Set(['by', 'user', 'actor', 'client_address', 'who', 'held_identity'])

/** Fields that people write freely, and names in them. */
const freeText = new Set(['reason', 'detail', 'message', 'query'])
const freeTextKinds = /^(audit\.exported$|search\.|hold\.|lock\.|approval\.|session\.killed$|document\.|credential\.revoked$|node\.|privacy\.|command\.released$|sink\.)/

/** Whether anything of an event of this kind has to be changed; if not, the stored text goes out as it is. */
export function mustMask(mask: SinkMask): boolean {
  return mask.statement !== 'full' || mask.parameters !== 'keep' || mask.results !== 'keep' || mask.identity !== 'keep'
}

/** The event with everything taken out that the receiver doesn't get. Pure; the keys make digests and pseudonyms. */
export function maskEvent(read: ReadEvent, mask: SinkMask, keys: MaskKeys): ReadEvent {
  if (!mustMask(mask)) return read
  const sql = isSql(read)
  const event = [
    (fields: Fields) => (mask.parameters === 'remove' ? without(fields, read.kind === 'command' ? ['parameters'] : []) : fields),
    (fields: Fields) => (mask.results === 'remove' ? withoutResults(fields, read.kind) : fields),
    (fields: Fields) => (mask.statement === 'full' ? fields : withoutStatement(fields, read.kind, mask.statement, sql, keys.statement)),
    // The raw text of a record that could not be taken: it may hold anything, so that no partial mask fits it.
    (fields: Fields) => (typeof fields['record'] === 'string' ? { ...without(fields, ['record']), record_digest: digest(keys.statement, fields['record']) } : fields),
    (fields: Fields) => (mask.identity === 'keep' ? fields : pseudonymised(fields, read.kind, keys.identity)),
  ].reduce((fields, step) => step(fields), read.event)
  const head: Fields = mask.identity === 'keep' ? { ...read.head, event } : { ...pseudonymisedHead(read.head, keys.identity), event }
  const session = read.session && mask.identity !== 'keep' ? { ...read.session, clientAddress: pseudonym(keys.identity, read.session.clientAddress) } : read.session
  return { ...read, head, event, ...(session ? { session } : {}) }
}

/** `hmac-sha256:` and hex. Keyed: a plain digest of a short statement can be found by trying values. */
export const digest = (key: Uint8Array, text: string): string => 'hmac-sha256:' + createHmac('sha256', key).update(text, 'utf8').digest('hex')

const keptPseudonyms = 20_000
const keptLength = 256
const pseudonymsOf = new WeakMap<Uint8Array, Map<string, string>>()

/** `p-` and 32 hex digits. Kept for a while: the same few people and claims stand in nearly every event, a dozen in each. */
export function pseudonym(key: Uint8Array, text: string): string {
  let known = pseudonymsOf.get(key)
  if (!known) pseudonymsOf.set(key, (known = new Map()))
  const before = known.get(text)
  if (before !== undefined) return before
  const made = 'p-' + createHmac('sha256', key).update(text, 'utf8').digest('hex').slice(0, 32)
  if (text.length > keptLength) return made
  if (known.size >= keptPseudonyms) known.clear()
  known.set(text, made)
  return made
}

function isSql(read: ReadEvent): boolean {
  const actions = listOf(read.event['effects']).flatMap((effect) => textOf(fieldsOf(effect)['action']) ?? [])
  // Only what is known to be SQL is read as SQL.
  return read.session?.protocol === 'postgres' || (actions.length > 0 && actions.every((action) => action.startsWith('sql.')))
}

function without(fields: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)))
}

function withoutResults(fields: Fields, kind: string): Fields {
  // Not the digests either: who guesses what a command showed could prove it with them.
  if (kind === 'command.end') return without(fields, ['result', 'result_sha256'])
  return kind === 'recording' ? without(fields, ['chunks', 'sha256']) : fields
}

function withoutStatement(fields: Fields, kind: string, how: 'without_parameters' | 'digest', sql: boolean, key: Uint8Array): Fields {
  const text = fields['text']
  const shown = typeof text !== 'string' ? {} : how === 'digest' ? { text_digest: digest(key, text) } : { text: sql ? sqlWithoutLiterals(text) : firstWordOnly(text) }
  const bound = fields['digest']
  // Messages of the server and the parser's reasons quote the statement.
  const hidden = without(fields, ['text', 'parameters', 'facts', 'digest', ...(kind === 'command.end' ? ['error_message', 'result', 'result_sha256'] : [])])
  const decision = fields['decision']
  return {
    ...hidden,
    ...shown,
    ...(typeof bound === 'string' ? { digest: digest(key, bound) } : {}),
    ...(Array.isArray(fields['effects']) ? { effects: fields['effects'].map(openEffect) } : {}),
    ...(decision === undefined ? {} : { decision: without(fieldsOf(decision), ['reason', 'hint', 'effects', 'explanation']) }),
  }
}

function openEffect(effect: unknown): Fields {
  const fields = fieldsOf(effect)
  const open = Object.entries(fieldsOf(fields['details'])).filter(([name, value]) => typeof value === 'boolean' || openDetails.has(name))
  return { ...without(fields, ['details']), ...(open.length === 0 ? {} : { details: Object.fromEntries(open) }) }
}

function pseudonymisedHead(head: Fields, key: Uint8Array): Fields {
  const who = textOf(head['who'])
  return {
    ...head,
    ...(who === undefined ? {} : { who: pseudonym(key, who) }),
    ...('identity' in head ? { identity: pseudonymisedIdentity(head['identity'], key) } : {}),
    ...('claims' in head ? { claims: pseudonymisedValues(head['claims'], key) } : {}),
  }
}

function pseudonymisedIdentity(identity: unknown, key: Uint8Array): Fields {
  const fields = fieldsOf(identity)
  const name = textOf(fields['name'])
  return { ...fields, ...(name === undefined ? {} : { name: pseudonym(key, name) }) }
}

function pseudonymisedValues(values: unknown, key: Uint8Array): Fields {
  return Object.fromEntries(Object.entries(fieldsOf(values)).map(([name, value]) => [name, pseudonym(key, typeof value === 'string' ? value : JSON.stringify(value))]))
}

function pseudonymised(fields: Fields, kind: string, key: Uint8Array): Fields {
  const entries = Object.entries(fields).flatMap(([name, value]): [string, unknown][] => {
    if (identityFields.has(name) && typeof value === 'string') return [[name, pseudonym(key, value)]]
    if (name === 'identity') return [[name, pseudonymisedIdentity(value, key)]]
    // What a client says of itself at the start (user, application_name) tells who it is.
    if (name === 'claims' || (name === 'parameters' && kind === 'session.start')) return [[name, pseudonymisedValues(value, key)]]
    if (name === 'reviewers') return [[name, textsOf(value).map((reviewer) => pseudonym(key, reviewer))]]
    if (name === 'changes') return [[name, listOf(value).map((change) => pseudonymisedChange(fieldsOf(change), key))]]
    if (freeText.has(name) && (freeTextKinds.test(kind) || kind === 'alert')) return []
    // Names of tokens and of saved searches are chosen by their owners; those of nodes and sinks are not people's.
    if (name === 'name' && /^(token|search)\./.test(kind)) return []
    return [[name, value]]
  })
  return Object.fromEntries(entries)
}

function pseudonymisedChange(change: Fields, key: Uint8Array): Fields {
  const [kind, name] = [change['kind'], textOf(change['name'])]
  return name !== undefined && (kind === 'User' || kind === 'Workload') ? { ...change, name: pseudonym(key, name) } : change
}
