import { Injectable } from '@nestjs/common'
import { EventsService } from '../audit/events.service.js'
import { NotifyService } from '../notify/notify.service.js'
import { conflict, notFound } from '../problem/problem.js'
import { EraseRepository, type Person, type Transaction } from './erase.repository.js'
import { erasedChannel, PersonsService } from './persons.service.js'

export interface Erased {
  /** What stands for the person from now on, in all records. */
  readonly person: string
  /** How many identifiers were erased. */
  readonly identifiers: number
  /** Tables in which names were replaced: their old versions lie in the database's files until they are vacuumed. */
  readonly tables: readonly string[]
}

/** Erases a person: the key goes, and with it every way from the records to the name. */
@Injectable()
export class EraseService {
  constructor(
    private readonly repository: EraseRepository,
    private readonly people: PersonsService,
    private readonly events: EventsService,
    private readonly notify: NotifyService,
  ) {}

  /**
   * @param name any name of the person, or a pseudonym
   * @throws {Problem} 404 when nobody of this name is known; 409 when documents, a live session or a legal hold keep the person
   */
  async erase(name: string, reason: string, by: string): Promise<Erased> {
    const known = await this.people.find(name)
    if (!known) throw notFound(`person ${name} in the records`)
    // The reason may name the person.
    const recorded = await this.people.inRecord([by], reason)
    const erased = await this.repository.transaction(async (tx) => {
      if (!(await this.repository.lock(tx, known.person))) throw notFound(`person ${name} in the records`)
      const person = await this.#person(tx, known.person)
      await this.#check(tx, person)
      const tables = await this.repository.scrub(tx, person)
      await this.repository.forget(tx, person.pseudonym, recorded.reviewers[0] ?? by, recorded.reason)
      const identifiers = person.pseudonyms.length
      await this.events.appendWithin(tx, [{ kind: 'privacy.erased', person: person.pseudonym, by, reason, identifiers }])
      return { person: person.pseudonym, identifiers, tables }
    })
    this.people.forget()
    await this.notify.publish(erasedChannel, erased.person)
    return erased
  }

  async #person(tx: Transaction, pseudonym: string): Promise<Person> {
    const rows = await this.repository.identifiers(tx, pseudonym)
    const values = await this.people.values(rows.map((row) => row.pseudonym))
    const valuesOf = (attribute: boolean): string[] => rows.flatMap((row) => (row.attribute === attribute ? (values.get(row.pseudonym) ?? []) : []))
    return { pseudonym, pseudonyms: rows.map((row) => row.pseudonym), names: valuesOf(false), attributes: valuesOf(true) }
  }

  async #check(tx: Transaction, person: Person): Promise<void> {
    const documents = await this.repository.documentsNaming(tx, person.names)
    if (documents.length > 0) {
      throw conflict('PERSON_IN_DOCUMENTS', `Documents name the person: ${documents.slice(0, 10).join(', ')}.`, 'Apply them without the person (delete the User document) first: else the next login makes the records anew.')
    }
    if (await this.repository.isLive(tx, person.names)) throw conflict('PERSON_HAS_SESSIONS', 'A session of the person is live.', 'End it first (`sallyport sessions kill`).')
    const holds = await this.repository.holds(tx, person)
    if (holds.length > 0) throw conflict('LEGAL_HOLD', `Records of the person are under legal hold: ${holds.slice(0, 10).join(', ')}.`, 'Release the holds first, if you may.')
  }
}
