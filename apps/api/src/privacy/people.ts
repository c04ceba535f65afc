/**
 * Where events name people. The same walk finds the names, puts pseudonyms in their place, and reads those back: a pseudonym
 * is read back only where the control plane puts one. Elsewhere (a statement) it is text that somebody wrote, and reading it
 * back would tell a client who is behind a pseudonym.
 */
export interface PeopleVisitor {
  /** The whole value names a person. `owner`: the value that names the person first, where this is another name of the same. */
  name(value: string, owner?: string): string
  /** The value says something of the person `owner`, and names nobody by itself. */
  attribute(value: string, owner: string): string
  /** The value may be a person's name: what a client called itself, what somebody searched for. */
  maybe(value: string): string
  /** Free text, in which names of people may stand. */
  text(value: string): string
  /** A claim that isn't about a person, in which the name of one of this event may stand: `refs/heads/dana/fix`. */
  mention(value: string): string
}

export type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)
export const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})
const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

/** `person-` and 26 characters of base32 (RFC 4648, lower case): 128 random bits. */
export const pseudonymPattern = /person-[a-z2-7]{26}/g
export const isPseudonym = (text: string): boolean => /^person-[a-z2-7]{26}$/.test(text)
export const mentionsPseudonym = (text: string): boolean => /person-[a-z2-7]{26}/.test(text)

/** What acts without being a person. */
const systemActors = new Set(['policy', 'bootstrap', 'system', 'control-plane'])
const isSystemActor = (by: string): boolean => systemActors.has(by) || /^(credential|agent|gateway|node):/.test(by)

/** Claims that name the person behind a token: GitHub, GitLab, OIDC's own, Microsoft's. */
const nameClaims = new Set(['actor', 'user_login', 'user_email', 'email', 'preferred_username', 'upn', 'unique_name'])
const attributeClaims = new Set(['actor_id', 'user_id', 'name', 'nickname', 'given_name', 'family_name', 'oid'])

/** What of a session names people: who it is of, and its token's claims. */
export interface SessionPeople {
  readonly identityKind: string
  readonly identity: string
  readonly actor: string | null
  readonly claims: unknown
}

/** The person behind a session: its user, or who started the workload's run; undefined when nobody is named. */
export function personOf({ identityKind, identity, actor, claims }: SessionPeople): string | undefined {
  if (identityKind === 'user') return identity
  if (actor !== null) return actor
  return [...nameClaims].map((name) => textOf(fieldsOf(claims)[name])).find((value) => value !== undefined)
}

/** Claims with their people's names visited. `person`: as {@link personOf}. */
export function mapClaims(claims: unknown, person: string | undefined, isUser: boolean, visit: PeopleVisitor): Fields {
  return Object.fromEntries(
    Object.entries(fieldsOf(claims)).map(([name, value]) => {
      if (typeof value !== 'string' || value === '') return [name, value]
      if (nameClaims.has(name) || value === person) return [name, visit.name(value, person)]
      if (person !== undefined && (attributeClaims.has(name) || (isUser && name === 'sub'))) return [name, visit.attribute(value, person)]
      return [name, visit.mention(value)]
    }),
  )
}

/** Fields that people write, or that quote names. Not `text`: that is the statement. */
const freeText = ['reason', 'message'] as const

/** An event of the control plane with its people visited. Statements, effects and parameters are left as they are. */
export function mapControlEvent<T extends object>(body: T, visit: PeopleVisitor): T {
  const event = fieldsOf(body)
  const identity = fieldsOf(event['identity'])
  const isUser = identity['kind'] === 'user'
  const named = textOf(identity['name'])
  const actor = textOf(event['actor'])
  const person = personOf({ identityKind: isUser ? 'user' : 'workload', identity: named ?? '', actor: actor ?? null, claims: event['claims'] })
  const kind = textOf(event['kind']) ?? ''
  const changed: Record<string, unknown> = { ...event }
  const set = (name: string, map: (value: string) => string): void => {
    const value = textOf(event[name])
    if (value !== undefined) changed[name] = map(value)
  }
  if (isUser && named !== undefined) changed['identity'] = { ...identity, name: visit.name(named) }
  set('by', (by) => (isSystemActor(by) ? by : visit.name(by)))
  set('actor', (value) => visit.name(value))
  set('user', visit.maybe)
  set('held_identity', visit.maybe)
  if (isUser && named !== undefined) set('client_address', (value) => visit.attribute(value, named))
  if (isFields(event['claims'])) changed['claims'] = mapClaims(event['claims'], person, isUser, visit)
  if (Array.isArray(event['reviewers'])) changed['reviewers'] = event['reviewers'].map((reviewer: unknown) => (typeof reviewer === 'string' ? visit.name(reviewer) : reviewer))
  if (Array.isArray(event['changes'])) changed['changes'] = event['changes'].map((change: unknown) => mapChange(fieldsOf(change), visit))
  for (const name of freeText) set(name, visit.text)
  // Names of tokens and searches are chosen by people; a node's is not.
  if (/^(token|search)\./.test(kind)) set('name', visit.text)
  if (typeof event['detail'] === 'string') set('detail', visit.text)
  for (const name of ['detail', 'query']) if (isFields(event[name])) changed[name] = mapTexts(event[name], visit)
  return { ...body, ...changed }
}

function mapChange(change: Fields, visit: PeopleVisitor): Fields {
  const name = textOf(change['name'])
  return name !== undefined && change['kind'] === 'User' ? { ...change, name: visit.name(name) } : change
}

function mapTexts(fields: Fields, visit: PeopleVisitor): Fields {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, typeof value !== 'string' ? value : name === 'who' ? visit.maybe(value) : visit.text(value)]))
}

/** Reads a stored event (the whole body: wrapper and event) back. What an agent wrote is read back where the control plane gave it the pseudonym. */
export function mapStored(body: Fields, visit: PeopleVisitor): Fields {
  const event = fieldsOf(body['event'])
  const identity = fieldsOf(body['identity'])
  const [who, name] = [textOf(body['who']), textOf(identity['name'])]
  const head = {
    ...body,
    ...(who === undefined ? {} : { who: visit.name(who) }),
    ...(name !== undefined && identity['kind'] === 'user' ? { identity: { ...identity, name: visit.name(name) } } : {}),
    ...(isFields(body['claims']) ? { claims: mapClaims(body['claims'], undefined, false, visit) } : {}),
  }
  if (body['source'] === 'control-plane') return { ...head, event: mapControlEvent(event, visit) }
  return isFields(body['event']) ? { ...head, event: mapAgentEvent(event, visit) } : head
}

function mapAgentEvent(event: Fields, visit: PeopleVisitor): Fields {
  const { kind, reason, detail, reviewers } = event
  if (kind === 'session.end' && reason === 'killed' && typeof detail === 'string') return { ...event, detail: visit.text(detail) }
  if (kind !== 'command.released') return event
  return {
    ...event,
    ...(Array.isArray(reviewers) ? { reviewers: reviewers.map((reviewer: unknown) => (typeof reviewer === 'string' ? visit.name(reviewer) : reviewer)) } : {}),
    ...(typeof reason === 'string' ? { reason: visit.text(reason) } : {}),
  }
}
