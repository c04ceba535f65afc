import type { ControlPlaneEventBody } from '../audit/events.js'

/** What an event says of one person. */
export interface PersonNamed {
  /** Names, e-mail addresses, numbers at other services: each belongs to nobody else. */
  readonly names: readonly string[]
  /** Network addresses, which several people may share. */
  readonly addresses: readonly string[]
}

export interface Mentioned {
  readonly persons: readonly PersonNamed[]
  /** Text that may be the name of a person: a pseudonym is used when it is one. */
  readonly perhaps: readonly string[]
}

/** Claims that say who a person is (OIDC Core 5.1, and those of GitHub, GitLab, Buildkite, Entra). */
const personalClaims = new Set([
  'actor', 'actor_id', 'triggering_actor', 'user_login', 'user_email', 'user_id', 'email', 'preferred_username', 'name', 'given_name', 'family_name', 'middle_name',
  'nickname', 'phone_number', 'upn', 'unique_name', 'oid', 'build_creator', 'build_creator_email', 'user_access_level_name',
])

/** What a session, or an event about one, tells of who is behind it. */
export interface IdentityFacts {
  readonly identityKind: string
  readonly identity: string
  readonly claims: unknown
  readonly actor?: string | null | undefined
  readonly clientAddress?: string | undefined
}

/** Claims of a user all speak of that user; of a workload's, those that name the person behind the run. */
export const isPersonalClaim = (name: string, value: string, facts: IdentityFacts): boolean =>
  personalClaims.has(name) || (name === 'sub' && facts.identityKind === 'user') || (value !== '' && (value === facts.actor || (facts.identityKind === 'user' && value === facts.identity)))

/** The person whom a session is for or was started by. */
export function personOf(facts: IdentityFacts): PersonNamed | undefined {
  const isUser = facts.identityKind === 'user'
  const claims = Object.entries(textsOf(facts.claims)).flatMap(([name, value]) => (isPersonalClaim(name, value, facts) ? [value] : []))
  const names = distinct([...(isUser ? [facts.identity] : []), ...(facts.actor ? [facts.actor] : []), ...claims])
  if (names.length === 0) return undefined
  return { names, addresses: isUser && facts.clientAddress !== undefined ? [hostOf(facts.clientAddress)] : [] }
}

/** `by` also says which part of the system did something; its names have a colon, which no user's has. */
const isPersonsName = (by: string): boolean => !by.includes(':')

/** Everybody whom an event of the control plane names. */
export function personsOfEvent(event: ControlPlaneEventBody): Mentioned {
  const persons: PersonNamed[] = []
  const perhaps: string[] = []
  const facts = factsOf(event)
  const person = facts && personOf(facts)
  if (person) persons.push(person)
  const named = (name: string | undefined): void => {
    if (name !== undefined && name !== '' && isPersonsName(name)) persons.push({ names: [name], addresses: [] })
  }
  if ('by' in event) named(event.by)
  if ('reviewers' in event) event.reviewers.forEach(named)
  if (event.kind === 'auth.failed' && event.user !== undefined) perhaps.push(event.user)
  if (event.kind === 'user.signed_in' || event.kind === 'user.signed_out' || event.kind === 'user.gone') {
    persons.push({ names: [event.user], addresses: event.kind === 'user.signed_in' ? [hostOf(event.client_address)] : [] })
  }
  if ((event.kind === 'token.created' || event.kind === 'token.revoked') && isPersonsName(event.user)) perhaps.push(event.user)
  if ('held_identity' in event && event.held_identity !== undefined) perhaps.push(event.held_identity)
  if (event.kind === 'document.applied') for (const change of event.changes) if (change.kind === 'User') named(change.name)
  if (event.kind === 'audit.exported') perhaps.push(...Object.values(event.query).filter((value) => value !== undefined))
  return { persons, perhaps }
}

function factsOf(event: ControlPlaneEventBody): IdentityFacts | undefined {
  if (!('identity' in event) || event.identity === undefined) return undefined
  return {
    identityKind: event.identity.kind,
    identity: event.identity.name,
    claims: 'claims' in event ? event.claims : {},
    actor: 'actor' in event ? event.actor : undefined,
    clientAddress: 'client_address' in event ? event.client_address : undefined,
  }
}

/** Fields of the control plane's events that hold words of people or of the system, in which a name may stand. */
const freeText = new Set(['reason', 'message', 'detail', 'query'])

/** The event with pseudonyms in the places of everything that `pseudonyms` knows. Nothing else is changed. */
export function withPseudonyms(event: ControlPlaneEventBody, pseudonyms: ReadonlyMap<string, string>): object {
  const facts = factsOf(event)
  const entries = Object.entries(event).map(([name, value]: [string, unknown]): [string, unknown] => {
    if (name === 'identity' && isFields(value)) return [name, { ...value, ...(value['kind'] === 'user' ? { name: swapped(value['name'], pseudonyms) } : {}) }]
    if (name === 'claims' && facts) return [name, claimsWith(textsOf(value), facts, pseudonyms)]
    if (name === 'client_address') return [name, typeof value === 'string' ? addressWith(value, pseudonyms) : value]
    // What a client called itself.
    if (name === 'user' && typeof value === 'string') return [name, pseudonyms.get(value) ?? disarmed(value)]
    if (['by', 'actor', 'held_identity'].includes(name)) return [name, swapped(value, pseudonyms)]
    if (name === 'reviewers' && Array.isArray(value)) return [name, value.map((reviewer: unknown) => swapped(reviewer, pseudonyms))]
    if (name === 'changes' && Array.isArray(value)) return [name, value.map((change: unknown) => (isFields(change) && change['kind'] === 'User' ? { ...change, name: swapped(change['name'], pseudonyms) } : change))]
    // An erasure's reason has pseudonyms already.
    if (freeText.has(name)) return [name, event.kind === 'privacy.erased' ? value : inText(value, pseudonyms)]
    return [name, value]
  })
  return Object.fromEntries(entries)
}

/** The claims of a session or credential, with pseudonyms for what names a person, and for the person's names in what else is claimed: `refs/heads/dana/fix`. */
export function claimsWith(claims: Readonly<Record<string, string>>, facts: IdentityFacts, pseudonyms: ReadonlyMap<string, string>): Record<string, string> {
  const own = new Map((personOf(facts)?.names ?? []).flatMap((name) => (pseudonyms.has(name) ? [[name, pseudonyms.get(name) ?? name]] : [])))
  return Object.fromEntries(Object.entries(claims).map(([name, value]) => [name, isPersonalClaim(name, value, facts) ? (pseudonyms.get(value) ?? value) : textWith(value, own)]))
}

/** `192.0.2.1:4711` keeps its port. */
export function addressWith(address: string, pseudonyms: ReadonlyMap<string, string>): string {
  const host = hostOf(address)
  const pseudonym = pseudonyms.get(host)
  return pseudonym === undefined ? address : pseudonym + address.slice(host.length)
}

const hostOf = (address: string): string => /^(\[[^\]]*\]|[^:]*):\d{1,5}$/.exec(address)?.[1] ?? address

const swapped = (value: unknown, pseudonyms: ReadonlyMap<string, string>): unknown => (typeof value === 'string' ? (pseudonyms.get(value) ?? value) : value)

/** Names as whole words: `ada` isn't in `adapter`. Numbers, and what is shorter than three letters, would be anywhere. */
function inText(value: unknown, pseudonyms: ReadonlyMap<string, string>): unknown {
  if (isFields(value)) return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, inText(inner, pseudonyms)]))
  return typeof value === 'string' ? textWith(value, pseudonyms) : value
}

/** What people write must not look as if the control plane had put it there: it would be read back to whoever sees it. */
const disarmed = (text: string): string => text.replaceAll(/person-(?=[a-z2-7]{26})/g, 'person_')

/** Text with pseudonyms for the names in it. */
export function textWith(text: string, pseudonyms: ReadonlyMap<string, string>): string {
  return [...pseudonyms].reduce((changed, [name, pseudonym]) => (name.length < 3 || /^\d+$/.test(name) ? changed : wordsReplaced(changed, name, pseudonym)), disarmed(text))
}

/** `name` replaced wherever it stands as a word of its own. */
export function wordsReplaced(text: string, name: string, by: string): string {
  if (!text.includes(name)) return text
  const escaped = name.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`)
  return text.replaceAll(new RegExp(String.raw`(?<![\p{L}\p{N}_.@-])${escaped}(?![\p{L}\p{N}_@-]|\.[\p{L}\p{N}])`, 'gu'), () => by)
}

type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

const textsOf = (value: unknown): Record<string, string> =>
  isFields(value) ? Object.fromEntries(Object.entries(value).flatMap(([name, text]) => (typeof text === 'string' ? [[name, text]] : []))) : {}

const distinct = (names: readonly string[]): string[] => [...new Set(names)].filter((name) => name !== '')
