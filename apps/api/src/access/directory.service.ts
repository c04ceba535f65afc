import { Injectable } from '@nestjs/common'
import { groupsOfUser, type GroupDocument, type UserDocument } from '@sallyport/policy'
import { AccountsService, type KnownAccount } from '../accounts/accounts.service.js'
import { DocumentsService } from '../documents/documents.service.js'
import { LocksRepository } from '../locks/locks.repository.js'
import type { Role } from './principal.js'

/** A person, as documents, and the claims of the provider that they signed in with, describe them now. */
export interface Person {
  readonly name: string
  readonly displayName?: string
  readonly email?: string
  readonly roles: readonly Role[]
  /** Union of the User document's groups, the Group documents that list the user, and what GroupMapping documents make of claims. */
  readonly groups: readonly string[]
  /** Names that the person has elsewhere, by system: `{github: 'octodana'}`. */
  readonly aliases: Readonly<Record<string, string>>
  /** By the document, by the provider, or by a lock. */
  readonly disabled: boolean
  readonly locked: boolean
}

/** Who is who. Reads the documents' cache and the accounts', so an apply or a sign-in changes the answer at once. */
@Injectable()
export class DirectoryService {
  constructor(
    private readonly documents: DocumentsService,
    private readonly accounts: AccountsService,
    private readonly locks: LocksRepository,
  ) {}

  async find(name: string): Promise<Person | undefined> {
    const user = await this.documents.get('User', name)
    const accounts = await this.accounts.named(name)
    const person = user ? await this.#ofDocument(user, await this.documents.list('Group'), accounts) : await this.#ofAccounts(name, accounts)
    return person && withLock(person, await this.locks.isLocked({ kind: 'user', name }))
  }

  async list(): Promise<Person[]> {
    const groups = await this.documents.list('Group')
    const accounts = await this.accounts.list()
    const users = await this.documents.list('User')
    const written = new Set(users.map(({ name }) => name))
    const people = users.map((user) => this.#ofDocument(user, groups, accounts.get(user.name) ?? []))
    const others = [...accounts].flatMap(([name, own]) => (written.has(name) ? [] : [this.#ofAccounts(name, own)]))
    const locked = await this.locks.names('user')
    return (await Promise.all([...people, ...others])).flatMap((person) => (person ? [withLock(person, locked.has(person.name))] : []))
  }

  /** The User document wins; the claims of a provider that knows the person add to it. */
  async #ofDocument(user: UserDocument, groups: readonly GroupDocument[], accounts: readonly KnownAccount[]): Promise<Unlocked> {
    const { displayName, email, aliases, roles, disabled } = user.spec
    const mapped = await Promise.all(accounts.filter(({ isGone }) => !isGone).map((account) => this.accounts.mapped(account)))
    return {
      name: user.name,
      ...(displayName === undefined ? {} : { displayName }),
      ...(email === undefined ? {} : { email }),
      roles: distinct([...roles, ...mapped.flatMap((one) => one.roles)]),
      groups: distinct([...groupsOfUser(user.name, [user, ...groups]), ...mapped.flatMap((one) => one.groups)]).sort(),
      aliases: { ...namesAtProviders(accounts), ...aliases },
      // Who is gone at every provider that ever vouched for them is gone here, too.
      disabled: disabled || (accounts.length > 0 && accounts.every(({ isGone }) => isGone)),
    }
  }

  /** Somebody without a document is what mappings make of them, and nobody when none fits any more. */
  async #ofAccounts(name: string, accounts: readonly KnownAccount[]): Promise<Unlocked | undefined> {
    const [account] = accounts
    if (!account) return undefined
    const mapped = await this.accounts.mapped(account)
    return {
      name,
      ...(account.displayName === null ? {} : { displayName: account.displayName }),
      ...(account.email === null ? {} : { email: account.email }),
      roles: mapped.roles.length === 0 ? ['member'] : mapped.roles,
      groups: [...mapped.groups].sort(),
      aliases: namesAtProviders(accounts),
      disabled: account.isGone || !mapped.matches,
    }
  }
}

type Unlocked = Omit<Person, 'locked'>

const withLock = (person: Unlocked, locked: boolean): Person => ({ ...person, locked, disabled: person.disabled || locked })

/** The person behind a run is known by such a name: who has it may not approve what the run asks. */
function namesAtProviders(accounts: readonly KnownAccount[]): Record<string, string> {
  return Object.fromEntries(accounts.flatMap(({ provider, claims }) => (typeof claims['preferred_username'] === 'string' ? [[provider, claims['preferred_username']]] : [])))
}

const distinct = <T>(values: readonly T[]): T[] => [...new Set(values)]
