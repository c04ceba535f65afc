import { Injectable } from '@nestjs/common'
import { v7 as uuid } from 'uuid'
import { WebSessionsService } from '../access/web-sessions.service.js'
import { AccountsRepository } from '../accounts/accounts.repository.js'
import { AccountsService } from '../accounts/accounts.service.js'
import type { Transaction } from '../audit/audit.repository.js'
import { EventsService } from '../audit/events.service.js'
import { DocumentsService } from '../documents/documents.service.js'
import { KeysService } from '../keys/keys.service.js'
import type { PeopleProvider, Told } from './oidc.service.js'
import { SigninError } from './signin.errors.js'

const maxClaimsBytes = 64 * 1024
const askAdministrator = 'Ask an administrator for a User document, or for a GroupMapping that fits your groups.'

/** From what a provider says about somebody to a signed-in user. */
@Injectable()
export class SigninService {
  constructor(
    private readonly repository: AccountsRepository,
    private readonly accounts: AccountsService,
    private readonly documents: DocumentsService,
    private readonly sessions: WebSessionsService,
    private readonly events: EventsService,
    private readonly keys: KeysService,
  ) {}

  /**
   * Makes the account, or brings it up to date, and a web session. Returns the session's cookie.
   * @throws {SigninError}
   */
  async signIn(provider: PeopleProvider, told: Told, clientAddress: string): Promise<string> {
    const claims = kept(told.claims)
    const now = new Date()
    const made = await this.repository.transaction(async (tx) => {
      await this.repository.lockNames(tx)
      const name = await this.#nameOf(tx, provider, told.subject, claims)
      const before = await tx.account.findUnique({ where: { provider_subject: { provider: provider.name, subject: told.subject } } })
      const id = before?.id ?? uuid()
      const account = await this.repository.save(tx, id, provider.name, told.subject, {
        name,
        email: verifiedEmail(claims) ?? null,
        displayName: textOf(claims['name'])?.slice(0, 200) ?? null,
        claims,
        refresh: told.refreshToken === null ? null : this.keys.sealPart(`refresh:${id}`, Buffer.from(told.refreshToken)),
      }, now)
      const idToken = told.idToken === null ? null : new Uint8Array(this.keys.sealPart(`id-token:${id}`, Buffer.from(told.idToken)))
      const cookie = await this.sessions.create(tx, account, { sid: told.sid, idToken }, now)
      const person = await this.#person(name, { provider: provider.name, claims })
      await this.events.appendWithin(tx, [
        { kind: 'user.signed_in', user: name, provider: provider.name, web_session: /=([^.]*)\./.exec(cookie)?.[1] ?? '', client_address: clientAddress, groups: person.groups, roles: person.roles },
      ])
      await this.repository.tell(tx)
      return cookie
    })
    this.accounts.forget()
    return made
  }

  /** The user whom this person is. */
  async #nameOf(tx: Transaction, provider: PeopleProvider, subject: string, claims: Readonly<Record<string, unknown>>): Promise<string> {
    const users = await this.documents.list('User')
    const email = verifiedEmail(claims)
    const bound = users.find(({ spec }) => spec.signIn.some((known) => known.provider === provider.name && known.subject === subject))
    const byEmail = provider.spec.signIn.trustEmail && email !== undefined ? users.filter(({ spec }) => spec.email?.toLowerCase() === email) : []
    const user = bound ?? (byEmail.length === 1 ? byEmail[0] : undefined)
    if (user?.spec.disabled === true) throw new SigninError('SIGNIN_DISABLED', 'Your user is disabled.', 'Ask an administrator.', user.name)
    if (user) return user.name

    const mapped = await this.accounts.mapped({ provider: provider.name, claims })
    const own = provider.spec.signIn.nameClaim === 'email' ? email : textOf(claims[provider.spec.signIn.nameClaim])?.toLowerCase()
    if (!mapped.matches) throw new SigninError('SIGNIN_NO_ACCESS', `${provider.name} knows you, and nothing here does.`, askAdministrator, own)
    if (own === undefined || !/^[a-z0-9][a-z0-9._@+-]{0,200}$/.test(own)) {
      throw new SigninError('SIGNIN_INVALID', `${provider.name} gives no usable name for you (claim ${provider.spec.signIn.nameClaim}${provider.spec.signIn.nameClaim === 'email' ? ', with email_verified' : ''}).`, 'An administrator sets signIn.nameClaim in the IdentityProvider.')
    }
    // Nobody becomes somebody else by calling themselves so: not a user, not a workload, not a person of another provider.
    const others = await tx.account.findMany({ where: { name: own, NOT: { provider: provider.name, subject } } })
    const taken = users.some(({ name }) => name === own) || (await this.documents.get('Workload', own)) !== undefined || others.length > 0
    if (taken) throw new SigninError('SIGNIN_NAME_TAKEN', `Somebody else here is called ${own}.`, 'An administrator binds you to a User document: spec.signIn with your provider and subject.', own)
    return own
  }

  /** What the person is from now on; the directory learns of it when this is committed. */
  async #person(name: string, account: { readonly provider: string; readonly claims: Readonly<Record<string, unknown>> }): Promise<{ groups: readonly string[]; roles: readonly string[] }> {
    const [mapped, before] = [await this.accounts.mapped(account), await this.documents.get('User', name)]
    return { groups: [...new Set([...(before?.spec.groups ?? []), ...mapped.groups])], roles: [...new Set([...(before?.spec.roles ?? []), ...mapped.roles])] }
  }
}

/** As the provider vouches for it: an address that anybody may type is nobody's. */
function verifiedEmail(claims: Readonly<Record<string, unknown>>): string | undefined {
  const email = textOf(claims['email'])?.toLowerCase()
  return email !== undefined && email.length <= 254 && (claims['email_verified'] === true || claims['email_verified'] === 'true') ? email : undefined
}

/** Claims that say something about the person; those about the token say nothing later. */
export function kept(claims: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const transient = new Set(['nonce', 'at_hash', 'c_hash', 's_hash', 'iat', 'exp', 'nbf', 'auth_time', 'jti', 'sid', 'aud', 'azp', 'acr', 'amr'])
  const left = Object.fromEntries(Object.entries(claims).filter(([name]) => !transient.has(name)))
  if (Buffer.byteLength(JSON.stringify(left)) > maxClaimsBytes) {
    throw new SigninError('SIGNIN_INVALID', 'The provider says too much about you (more than 64 KiB of claims).', 'Its administrator limits the groups claim to the groups of this application.')
  }
  return left
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)
