import { Injectable, Logger } from '@nestjs/common'
import { ModuleRef } from '@nestjs/core'
import { claimMismatch, type GroupMappingDocument } from '@sallyport/policy'
import type { Role } from '../access/principal.js'
import { DocumentsService } from '../documents/documents.service.js'
import { NotifyService } from '../notify/notify.service.js'
import { SessionsService } from '../sessions/sessions.service.js'
import { accountsChannel, AccountsRepository } from './accounts.repository.js'

/** Somebody at a provider, as far as access is concerned. */
export interface KnownAccount {
  readonly id: string
  readonly provider: string
  readonly subject: string
  readonly name: string
  readonly email: string | null
  readonly displayName: string | null
  readonly claims: Readonly<Record<string, unknown>>
  /** The provider no longer knows the person. */
  readonly isGone: boolean
}

/** What GroupMapping documents make of the claims of a person. */
export interface Mapped {
  readonly groups: readonly string[]
  readonly roles: readonly Role[]
  /** Whether any mapping fits. */
  readonly matches: boolean
}

/** Accounts, in memory on every replica; told by the database when one changes. */
@Injectable()
export class AccountsService {
  readonly #log = new Logger(AccountsService.name)
  #byName: Promise<ReadonlyMap<string, readonly KnownAccount[]>> | undefined

  constructor(
    private readonly repository: AccountsRepository,
    private readonly documents: DocumentsService,
    private readonly modules: ModuleRef,
    notify: NotifyService,
  ) {
    const changed = (): void => {
      this.#byName = undefined
      // Whoever lost access loses live sessions with it.
      this.modules.get(SessionsService, { strict: false }).refreshGrants().catch((error: unknown) => {
        this.#log.error({ message: 'live sessions could not be looked at after a change of accounts', error: error instanceof Error ? error.name : '' })
      })
    }
    notify.subscribe(accountsChannel, changed)
    notify.onReconnect(changed)
  }

  /** Of this name, at any provider. */
  async named(name: string): Promise<readonly KnownAccount[]> {
    return (await this.#all()).get(name) ?? []
  }

  async list(): Promise<ReadonlyMap<string, readonly KnownAccount[]>> {
    return this.#all()
  }

  /** What is remembered must not outlive a change that this process made itself. */
  forget(): void {
    this.#byName = undefined
  }

  async mapped(account: Pick<KnownAccount, 'provider' | 'claims'>): Promise<Mapped> {
    return mapClaims(account, await this.documents.list('GroupMapping'))
  }

  #all(): Promise<ReadonlyMap<string, readonly KnownAccount[]>> {
    const loading = (this.#byName ??= this.#load())
    loading.catch(() => {
      if (this.#byName === loading) this.#byName = undefined
    })
    return loading
  }

  async #load(): Promise<ReadonlyMap<string, readonly KnownAccount[]>> {
    const byName = new Map<string, KnownAccount[]>()
    for (const { id, provider, subject, name, email, displayName, claims, goneAt } of await this.repository.all()) {
      const account = { id, provider, subject, name, email, displayName, claims: isFields(claims) ? claims : {}, isGone: goneAt !== null }
      byName.set(name, [...(byName.get(name) ?? []), account])
    }
    return byName
  }
}

export function mapClaims({ provider, claims }: Pick<KnownAccount, 'provider' | 'claims'>, mappings: readonly GroupMappingDocument[]): Mapped {
  const fitting = mappings.filter(({ spec }) => spec.provider === provider && claimMismatch(spec.match, claims) === undefined)
  return { groups: [...new Set(fitting.flatMap(({ spec }) => spec.groups))], roles: [...new Set(fitting.flatMap(({ spec }) => spec.roles))], matches: fitting.length > 0 }
}

const isFields = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value)
