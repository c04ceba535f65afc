import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import { AccessConfig } from '../access/access.config.js'
import { AccountsRepository } from '../accounts/accounts.repository.js'
import { AccountsService } from '../accounts/accounts.service.js'
import { EventsService } from '../audit/events.service.js'
import type { Account } from '../generated/prisma/client.js'
import { KeysService } from '../keys/keys.service.js'
import { GrantGoneError, OidcService, type Told } from './oidc.service.js'
import { SigninError } from './signin.errors.js'
import { kept } from './signin.service.js'

/** Asks providers again about the people who are signed in. Who is gone there loses everything here: the sign-in, credentials and live sessions. */
@Injectable()
export class OffboardingService implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #log = new Logger(OffboardingService.name)
  #timer: NodeJS.Timeout | undefined
  #running = false

  constructor(
    private readonly repository: AccountsRepository,
    private readonly accounts: AccountsService,
    private readonly oidc: OidcService,
    private readonly events: EventsService,
    private readonly keys: KeysService,
    private readonly config: AccessConfig,
  ) {}

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => void this.sweep(), Math.min(30_000, Math.max(500, this.config.refresh * 250)))
    this.#timer.unref()
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer)
  }

  /** Refreshes what is due. Safe on every replica: an account is locked while it is asked about. */
  async sweep(): Promise<void> {
    if (this.#running) return
    this.#running = true
    try {
      // An account that can't be asked about now stays due: it is tried again, but not the whole sweep long.
      for (let count = 0; count < 50 && (await this.#next()); count += 1);
    } catch (error) {
      this.#log.warn({ message: 'people could not be looked up at their providers', error: error instanceof Error ? error.name : '' })
    } finally {
      this.#running = false
    }
  }

  async #next(): Promise<boolean> {
    const now = new Date()
    const changed = await this.repository.transaction(async (tx) => {
      const account = await this.repository.stale(tx, new Date(now.getTime() - this.config.refresh * 1000), now)
      if (!account) return false
      const told = await this.#ask(account)
      if (told === 'gone') {
        await this.repository.gone(tx, account.id, now)
        const ended = await this.repository.end(tx, { accountId: account.id }, 'the provider no longer knows the user', now)
        await this.events.appendWithin(tx, [
          { kind: 'user.gone', user: account.name, provider: account.provider, reason: 'the provider refuses to renew the sign-in' },
          ...ended.map(({ id, user }) => ({ kind: 'user.signed_out' as const, user, web_session: id, reason: 'the provider no longer knows the user' })),
        ])
      } else {
        const refresh = told.refreshToken === null ? account.refresh : this.keys.sealPart(`refresh:${account.id}`, Buffer.from(told.refreshToken))
        await this.repository.refreshed(tx, account.id, kept({ ...fieldsOf(account.claims), ...told.claims }), refresh ?? new Uint8Array(), now)
      }
      await this.repository.tell(tx)
      return true
    })
    if (changed) this.accounts.forget()
    return changed
  }

  async #ask(account: Account): Promise<Told | 'gone'> {
    try {
      const provider = await this.oidc.provider(account.provider)
      const token = this.keys.unsealPart(`refresh:${account.id}`, account.refresh ?? new Uint8Array()).toString()
      return await this.oidc.refresh(provider, token, account.subject)
    } catch (error) {
      // A provider whose document was removed vouches for nobody any more.
      if (error instanceof GrantGoneError || (error instanceof SigninError && error.code === 'SIGNIN_UNKNOWN_PROVIDER')) return 'gone'
      throw error
    }
  }
}

const fieldsOf = (value: unknown): Record<string, unknown> => (typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {})
