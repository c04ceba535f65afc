import { Injectable } from '@nestjs/common'
import { DirectoryService } from '../access/directory.service.js'
import { EventsService } from '../audit/events.service.js'
import { conflict, notFound } from '../problem/problem.js'
import { ErasureRepository } from './erasure.repository.js'
import { wordsReplaced } from './identifiers.js'
import { PersonsRepository } from './persons.repository.js'
import { namesOf, PseudonymsService } from './pseudonyms.service.js'

/** What was erased: pseudonyms alone. */
export interface Erased {
  readonly persons: readonly string[]
  readonly identifiers: number
  /** Documents in force that still hold a name: they are the administrators' to change. */
  readonly still_named_in: readonly string[]
}

/** Makes the log forget who somebody was, without changing a byte of it. */
@Injectable()
export class ErasureService {
  constructor(
    private readonly persons: PersonsRepository,
    private readonly repository: ErasureRepository,
    private readonly directory: DirectoryService,
    private readonly pseudonyms: PseudonymsService,
    private readonly events: EventsService,
  ) {}

  /**
   * Deletes the keys of the persons with these identifiers (names, e-mail addresses, names at a forge), and puts their pseudonyms in the place of what
   * the other tables hold.
   * @throws {Problem} 404 for an identifier that nobody has; 409 while the user exists, has live sessions, or is under a legal hold
   */
  async erase(identifiers: readonly string[], reason: string, by: string): Promise<Erased> {
    const persons = new Map<string, ReadonlyMap<string, string>>()
    for (const identifier of identifiers) {
      const person = await this.persons.personOf(identifier)
      if (!person) throw notFound(`person in the log with the identifier ${identifier}`)
      persons.set(person.id, person.identifiers)
    }
    const all = new Map([...persons.values()].flatMap((own) => [...own].map(([pseudonym, name]) => [name, pseudonym] as const)))
    const names = [...all.keys()]
    const user = (await this.directory.list()).find((person) => namesOf(person).some((name) => all.has(name)))
    if (user) throw conflict('USER_EXISTS', `The user ${user.name} is still there.`, 'Remove the User document first (apply without it and with --prune): who can sign in can not be forgotten.')
    const result = await this.repository.transaction(async (tx) => {
      if ((await this.repository.liveSessions(tx, names)) > 0) throw conflict('LIVE_SESSIONS', 'There are live sessions of this person.', 'End them first: sallyport sessions kill.')
      const holds = await this.repository.holds(tx, names, [...all.values()])
      if (holds.length > 0) throw conflict('UNDER_HOLD', `What this person did is under legal hold (${holds.slice(0, 3).join(', ')}).`, 'Who did it is part of what is held. Release the hold first.')
      for (const [name, pseudonym] of all) await this.repository.replace(tx, name, pseudonym, [...all.keys(), ...all.values()])
      for (const id of persons.keys()) await this.persons.forget(tx, id, new Date())
      const named = await this.repository.namedIn(tx, names)
      const told = [...all].reduce((text, [name, pseudonym]) => wordsReplaced(text, name, pseudonym), reason)
      await this.events.appendWithin(tx, [{ kind: 'privacy.erased', persons: [...persons.keys()], identifiers: all.size, by, reason: told }])
      await this.repository.tell(tx)
      return { persons: [...persons.keys()], identifiers: all.size, still_named_in: named }
    })
    this.pseudonyms.forget()
    return result
  }
}
