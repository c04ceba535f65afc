import { Injectable } from '@nestjs/common'
import { ModuleRef } from '@nestjs/core'
import { DirectoryService, type Person } from '../access/directory.service.js'
import { NotifyService } from '../notify/notify.service.js'
import { textWith, type Mentioned, type PersonNamed } from './identifiers.js'
import { isPseudonym, PersonsRepository, pseudonymPattern } from './persons.repository.js'
import { readBack } from './reading.js'

/** Tells every replica that a person was erased: nothing remembered may bring the names back. */
export const erasedChannel = 'sallyport_erased'
const remembered = 50_000

/** Puts pseudonyms in the places of people's names on the way into the log, and names in theirs on the way out. */
@Injectable()
export class PseudonymsService {
  readonly #pseudonyms = new Map<string, string>()
  /** Undefined: nobody can tell any more. */
  readonly #names = new Map<string, string | undefined>()
  readonly #forgotten = new Set<() => void>()
  /** Grows when something is forgotten: what was asked for before isn't remembered after. */
  #age = 0

  constructor(
    private readonly persons: PersonsRepository,
    private readonly modules: ModuleRef,
    notify: NotifyService,
  ) {
    notify.subscribe(erasedChannel, () => this.forget())
    notify.onReconnect(() => this.forget())
  }

  /** Called when a person was erased: whoever remembers names drops them. */
  onForgotten(listener: () => void): void {
    this.#forgotten.add(listener)
  }

  forget(): void {
    this.#age += 1
    this.#pseudonyms.clear()
    this.#names.clear()
    for (const listener of this.#forgotten) listener()
  }

  /** Pseudonyms for all persons that are named, and for the texts that may be somebody's name where they are. */
  async of({ persons, perhaps }: Mentioned): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>()
    for (const person of persons) for (const [value, pseudonym] of await this.#ofPerson(person)) found.set(value, pseudonym)
    const open = perhaps.filter((text) => text !== '' && !found.has(text) && !isPseudonym(text))
    for (const [value, pseudonym] of await this.known(open)) found.set(value, pseudonym)
    return found
  }

  /** What stands for an identity in what is hashed: a digest over a name could be found by trying names. A workload's is its name. */
  async ofIdentity(kind: string, name: string): Promise<string> {
    return kind === 'user' ? ((await this.#ofPerson({ names: [name], addresses: [] })).get(name) ?? name) : name
  }

  /** Pseudonyms of those names that are a person's; others are left out. */
  async known(names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>()
    const unknown: string[] = []
    for (const name of new Set(names)) {
      const pseudonym = this.#pseudonyms.get(name)
      if (pseudonym !== undefined) found.set(name, pseudonym)
      else if (name.length <= 512) unknown.push(name)
    }
    if (unknown.length === 0) return found
    for (const [name, pseudonym] of await this.#asked(() => this.persons.find(unknown))) found.set(name, pseudonym)
    for (const name of unknown) {
      if (found.has(name) || !(await this.#directory().find(name))) continue
      for (const [value, pseudonym] of await this.#ofPerson({ names: [name], addresses: [] })) found.set(value, pseudonym)
    }
    return found
  }

  /** Asks for the names behind all pseudonyms of these texts at once, so that {@link open} has them. */
  async prefetch(texts: readonly string[]): Promise<void> {
    const wanted = new Set(texts.flatMap((text) => (text.includes('person-') ? (text.match(pseudonymPattern) ?? []) : [])))
    const unknown = [...wanted].filter((pseudonym) => !this.#names.has(pseudonym))
    if (unknown.length === 0) return
    const age = this.#age
    const values = await this.persons.values(unknown)
    if (age !== this.#age) return this.prefetch(texts)
    if (this.#names.size + unknown.length > remembered) this.#names.clear()
    for (const pseudonym of unknown) this.#names.set(pseudonym, values.get(pseudonym))
  }

  /** A text with names for pseudonyms, as far as they were fetched and can be told. */
  open(text: string): string {
    return text.includes('person-') ? text.replaceAll(pseudonymPattern, (pseudonym) => this.#names.get(pseudonym) ?? pseudonym) : text
  }

  /** A stored body with names for pseudonyms where the control plane put those, and nowhere else. Fetches what it needs. */
  async openBody(body: string): Promise<string> {
    if (!body.includes('person-')) return body
    await this.prefetch([body])
    return readBack(body, (text) => this.open(text)) ?? body
  }

  /** What agents are to write in the place of these words: with pseudonyms for these people. */
  async inText(text: string, persons: readonly PersonNamed[]): Promise<string> {
    return textWith(text, await this.of({ persons, perhaps: [] }))
  }

  async #ofPerson({ names, addresses }: PersonNamed): Promise<ReadonlyMap<string, string>> {
    const own = names.filter((name) => !isPseudonym(name))
    const first = own[0]
    if (first === undefined) return new Map()
    const key = (address: string): string => `${first}\u0000${address}`
    const places = addresses.filter((address) => !isPseudonym(address))
    const cached = new Map([...own.map((name) => [name, this.#pseudonyms.get(name)] as const), ...places.map((address) => [address, this.#pseudonyms.get(key(address))] as const)])
    const known = new Map([...cached].flatMap(([value, pseudonym]) => (pseudonym === undefined ? [] : [[value, pseudonym]])))
    if (known.size === cached.size) return known
    const identifiers = [...own.map((value) => ({ value, shared: false })), ...places.map((value) => ({ value, shared: true }))]
    const age = this.#age
    const made = await this.persons.ensure(identifiers, await this.#linked(own))
    if (age === this.#age) {
      if (this.#pseudonyms.size + made.size > remembered) this.#pseudonyms.clear()
      for (const [value, pseudonym] of made) this.#pseudonyms.set(places.includes(value) ? key(value) : value, pseudonym)
    }
    return made
  }

  async #asked(ask: () => Promise<Map<string, string>>): Promise<Map<string, string>> {
    const age = this.#age
    const answer = await ask()
    if (age === this.#age) for (const [name, pseudonym] of answer) this.#pseudonyms.set(name, pseudonym)
    return answer
  }

  /** Further names of users whom one of these names belongs to: `octo` at the forge is dana here. */
  async #linked(names: readonly string[]): Promise<string[]> {
    const isOf = (person: Person): boolean => namesOf(person).some((name) => names.includes(name))
    return (await this.#directory().list()).filter(isOf).flatMap(namesOf)
  }

  #directory(): DirectoryService {
    return this.modules.get(DirectoryService, { strict: false })
  }
}

export const namesOf = ({ name, email, displayName, aliases }: Person): string[] => [name, ...(email === undefined ? [] : [email]), ...(displayName === undefined ? [] : [displayName]), ...Object.values(aliases)]
