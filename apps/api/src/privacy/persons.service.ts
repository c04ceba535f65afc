import { createHmac, randomBytes } from 'node:crypto'
import { Injectable } from '@nestjs/common'
import { KeysService } from '../keys/keys.service.js'
import { seal, unseal } from '../keys/seal.js'
import { NotifyService } from '../notify/notify.service.js'
import { fieldsOf, isPseudonym, mapClaims, mapControlEvent, mapStored, mentionsPseudonym, personOf, pseudonymPattern, type PeopleVisitor, type SessionPeople } from './people.js'
import { PersonsRepository, type PersonRow } from './persons.repository.js'
import { PrivacyConfig } from './privacy.config.js'

export const erasedChannel = 'sallyport_person_erased'
const maxCached = 100_000
/** Words of one event's free text that may be names. */
const maxWords = 500
const word = /[\p{L}\p{N}](?:[\p{L}\p{N}_.@+-]*[\p{L}\p{N}])?/gu

/** However it is written: names that differ by case or compatibility forms are one person's. */
const canonical = (name: string): string => name.normalize('NFKC').toLowerCase()

/** What people write must not look as if the control plane had put it there. */
const defanged = (text: string): string => text.replaceAll(pseudonymPattern, (match) => match.replace('-', '_'))

const base32 = 'abcdefghijklmnopqrstuvwxyz234567'
/** 26 characters of 5 bits. */
const newPseudonym = (): string => `person-${Array.from(randomBytes(26), (byte) => base32.charAt(byte & 31)).join('')}`

interface Known {
  readonly pseudonym: string
  readonly person: string
}

/** What stands for people in events, and who stands behind it. */
@Injectable()
export class PersonsService {
  /** By the lookup digest, hexadecimal. */
  readonly #known = new Map<string, Known>()
  readonly #values = new Map<string, string>()
  readonly #keys = new Map<string, Buffer>()
  #generation = 0
  #lookupKey: Uint8Array | undefined

  constructor(
    private readonly repository: PersonsRepository,
    private readonly keys: KeysService,
    private readonly config: PrivacyConfig,
    notify: NotifyService,
  ) {
    notify.subscribe(erasedChannel, () => this.forget())
    notify.onReconnect(() => this.forget())
  }

  /** Drops what is held in memory of everybody: somebody was erased. */
  forget(): void {
    this.#generation++
    this.#known.clear()
    this.#values.clear()
    this.#keys.clear()
  }

  /** The event as it is stored: with pseudonyms for its people. */
  async inEvent<T extends object>(event: T): Promise<T> {
    return (await this.#replacing((visit) => mapControlEvent(event, visit))) ?? event
  }

  /** A session's identity and claims as they are stored with its events. */
  async inSession<T extends SessionPeople>(session: T): Promise<T> {
    const isUser = session.identityKind === 'user'
    const person = personOf(session)
    const mapped = await this.#replacing((visit) => ({ identity: isUser ? visit.name(session.identity) : session.identity, claims: mapClaims(session.claims, person, isUser, visit) }))
    return mapped ? { ...session, ...mapped } : session
  }

  /** What agents write of people's decisions: reviewers and what they said. */
  async inRecord(reviewers: readonly string[], reason: string): Promise<{ readonly reviewers: readonly string[]; readonly reason: string }> {
    return (await this.#replacing((visit) => ({ reviewers: reviewers.map((name) => visit.name(name)), reason: visit.text(reason) }))) ?? { reviewers, reason }
  }

  /** The pseudonym of an identity in events, made when there is none; the name of what is no person. */
  async identityIn(kind: string, name: string): Promise<string> {
    if (kind !== 'user') return name
    return (await this.#replacing((visit) => ({ name: visit.name(name) })))?.name ?? name
  }

  /** What stands in events for somebody of this name, if anything does. */
  async find(name: string): Promise<Known | undefined> {
    if (isPseudonym(name)) return { pseudonym: name, person: name }
    const lookup = await this.#lookup(canonical(name))
    await this.#load([lookup])
    return this.#known.get(lookup.toString('hex'))
  }

  /** Bodies of stored events with people's names where they aren't erased. The texts themselves where nobody is in them. */
  async read(bodies: readonly string[]): Promise<string[]> {
    const wanted = bodies.flatMap((body) => (mentionsPseudonym(body) ? (body.match(pseudonymPattern) ?? []) : []))
    if (wanted.length === 0) return [...bodies]
    const values = await this.values(wanted)
    const read = (text: string): string => text.replaceAll(pseudonymPattern, (pseudonym) => values.get(pseudonym) ?? pseudonym)
    const visit: PeopleVisitor = { name: read, attribute: read, maybe: read, text: read, mention: read }
    return bodies.map((body) => {
      if (!mentionsPseudonym(body)) return body
      try {
        return JSON.stringify(mapStored(fieldsOf(JSON.parse(body)), visit))
      } catch {
        // Somebody changed it in the database; verify names it.
        return body
      }
    })
  }

  /** The identifiers behind pseudonyms; without those that are erased. */
  async values(pseudonyms: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const wanted = [...new Set(pseudonyms)]
    const rows = await this.repository.byPseudonym(wanted.filter((pseudonym) => !this.#values.has(pseudonym)))
    const generation = this.#generation
    const opened = await this.#open(rows)
    const found = new Map(opened)
    for (const pseudonym of wanted) {
      const value = this.#values.get(pseudonym)
      if (value !== undefined) found.set(pseudonym, value)
    }
    if (generation === this.#generation) {
      if (this.#values.size > maxCached) this.#values.clear()
      for (const [pseudonym, value] of opened) this.#values.set(pseudonym, value)
    }
    return found
  }

  /** Walks twice: to learn who is named, and to put their pseudonyms. Undefined when names are kept in clear. */
  async #replacing<T>(walk: (visit: PeopleVisitor) => T): Promise<T | undefined> {
    if (!this.config.pseudonyms) return undefined
    const names = new Map<string, string | undefined>()
    const attributes = new Map<string, { value: string; owner: string }>()
    const words = new Set<string>()
    const attributeKey = (value: string, owner: string): string => `${canonical(owner)}\0${value}`
    walk({
      name: (value, owner) => (names.set(value, names.get(value) ?? owner), value),
      attribute: (value, owner) => (attributes.set(attributeKey(value, owner), { value, owner }), value),
      maybe: (value) => (words.add(value), value),
      text: (value) => (wordsIn(value).forEach((one) => words.add(one)), value),
      mention: (value) => value,
    })
    const known = new Map<string, string>()
    for (const [name, owner] of names) known.set(canonical(name), (await this.#person(name, owner === name ? undefined : owner)).pseudonym)
    const ofAttributes = new Map<string, string>()
    for (const [key, { value, owner }] of attributes) ofAttributes.set(key, await this.#attribute(value, owner))
    const involved = new Map(known)
    for (const [one, { pseudonym }] of await this.#called([...words].map(canonical))) known.set(one, pseudonym)
    const inText = (value: string, people: ReadonlyMap<string, string>): string => defanged(value).replaceAll(word, (one) => people.get(canonical(one)) ?? one)
    return walk({
      name: (value) => known.get(canonical(value)) ?? value,
      attribute: (value, owner) => ofAttributes.get(attributeKey(value, owner)) ?? value,
      maybe: (value) => known.get(canonical(value)) ?? defanged(value),
      text: (value) => inText(value, known),
      mention: (value) => inText(value, involved),
    })
  }

  async #lookup(text: string): Promise<Buffer> {
    this.#lookupKey ??= await this.keys.personKey('lookup')
    return createHmac('sha256', this.#lookupKey).update(text).digest()
  }

  /** Which of these canonical names are known. */
  async #called(names: readonly string[]): Promise<Map<string, Known>> {
    const lookups = await Promise.all(names.map(async (name) => [name, await this.#lookup(name)] as const))
    await this.#load(lookups.map(([, lookup]) => lookup))
    return new Map(
      lookups.flatMap(([name, lookup]) => {
        const known = this.#known.get(lookup.toString('hex'))
        return known ? [[name, known]] : []
      }),
    )
  }

  async #load(lookups: readonly Buffer[]): Promise<void> {
    const missing = lookups.filter((lookup) => !this.#known.has(lookup.toString('hex')))
    if (missing.length === 0) return
    if (this.#known.size > maxCached) this.#known.clear()
    const generation = this.#generation
    const rows = await this.repository.byLookup(missing)
    if (generation !== this.#generation) return this.#load(lookups)
    for (const { lookup, pseudonym, person } of rows) this.#known.set(lookup.toString('hex'), { pseudonym, person })
  }

  /** The person called so. @param owner another name of the same person */
  async #person(name: string, owner: string | undefined): Promise<Known> {
    const value = canonical(name)
    // Of somebody who was erased, what stood for the name is all there is.
    if (isPseudonym(name)) return { pseudonym: name, person: name }
    const lookup = await this.#lookup(value)
    for (let attempt = 0; attempt < 3; attempt++) {
      await this.#load([lookup])
      const known = this.#known.get(lookup.toString('hex'))
      if (known) return known
      const first = owner ?? (await this.repository.userOfAlias(value))
      const same = first === undefined || canonical(first) === value ? undefined : (await this.#person(first, undefined)).person
      await this.#make(name, lookup, same, false)
    }
    throw new Error('a pseudonym could not be stored')
  }

  async #attribute(value: string, owner: string): Promise<string> {
    for (let attempt = 0; attempt < 3; attempt++) {
      const { person } = await this.#person(owner, undefined)
      const lookup = await this.#lookup(`${person}\0${value}`)
      await this.#load([lookup])
      const known = this.#known.get(lookup.toString('hex'))
      if (known) return known.pseudonym
      await this.#make(value, lookup, person, true)
    }
    throw new Error('a pseudonym could not be stored')
  }

  async #make(value: string, lookup: Buffer, person: string | undefined, attribute: boolean): Promise<void> {
    const pseudonym = newPseudonym()
    if (person === undefined) {
      const key = randomBytes(32)
      const wrappedKey = seal(await this.keys.personKey('wrap'), pseudonym, key)
      await this.repository.insert({ pseudonym, person: pseudonym, attribute, lookup, sealed: seal(key, pseudonym, Buffer.from(value)), wrappedKey })
      return
    }
    const key = (await this.#keysOf([person])).get(person)
    // Erased a moment ago, here or elsewhere: what is in memory is of before.
    if (key === undefined) this.forget()
    else await this.repository.insert({ pseudonym, person, attribute, lookup, sealed: seal(key, pseudonym, Buffer.from(value)) })
  }

  async #keysOf(people: readonly string[]): Promise<ReadonlyMap<string, Buffer>> {
    const missing = people.filter((person) => !this.#keys.has(person))
    const wrap = await this.keys.personKey('wrap')
    const generation = this.#generation
    const loaded = new Map([...(await this.repository.wrappedKeys(missing))].map(([person, wrapped]) => [person, unseal(wrap, person, wrapped)]))
    const found = new Map(loaded)
    for (const person of people) {
      const key = this.#keys.get(person)
      if (key) found.set(person, key)
    }
    if (generation === this.#generation) {
      if (this.#keys.size > maxCached) this.#keys.clear()
      for (const [person, key] of loaded) this.#keys.set(person, key)
    }
    return found
  }

  async #open(rows: readonly PersonRow[]): Promise<Map<string, string>> {
    const keys = await this.#keysOf([...new Set(rows.map(({ person }) => person))])
    return new Map(
      rows.flatMap(({ pseudonym, person, sealed }) => {
        const key = keys.get(person)
        return key ? [[pseudonym, unseal(key, pseudonym, sealed).toString()]] : []
      }),
    )
  }
}

function wordsIn(text: string): string[] {
  return (text.match(word) ?? []).slice(0, maxWords)
}
