import { Injectable } from '@nestjs/common'
import { TargetSpecError } from '@sallyport/kit'
import type { TargetDocument } from '@sallyport/policy'
import { v7 as uuid } from 'uuid'
import { EventsService } from '../audit/events.service.js'
import { IdentityError } from '../identity/identity.errors.js'
import { IdentityService, type Identity } from '../identity/identity.service.js'
import { LocksRepository } from '../locks/locks.repository.js'
import { PresenceService } from '../nodes/presence.service.js'
import { PoliciesService, type ResolvedWithHash } from '../policies/policies.service.js'
import { databaseOf, narrowedTo, TargetsService, viewOf } from '../targets/targets.service.js'
import { grantHash, GrantsService } from './grants.service.js'
import { SessionRefusal } from './session-refusal.js'
import { SessionsConfig } from './sessions.config.js'
import { SessionsRepository, type Transaction } from './sessions.repository.js'
import { SessionsService } from './sessions.service.js'

const maxParameters = 64
const maxParameterLength = 1024

export interface OpenRequest {
  readonly identity: Identity
  /** How the identity was proven. */
  readonly method: 'oidc_token' | 'credential' | 'public_key' | 'certificate'
  readonly target: string
  readonly protocol: string
  /** The user name that the client gave. */
  readonly user: string
  readonly parameters: Readonly<Record<string, string>>
  readonly clientAddress: string
  readonly gatewayId: string
  readonly credential?: {
    readonly id: string
    /** Takes the credential in the transaction that makes the session; false when it is no longer good. */
    take(tx: Transaction): Promise<boolean>
  }
}

export interface OpenedSession {
  readonly sessionId: string
  readonly agentId: string
  readonly grant: string
}

/** From a proven identity to a granted session: target → policy → agent → record → grant. */
@Injectable()
export class SessionOpener {
  constructor(
    private readonly targets: TargetsService,
    private readonly identities: IdentityService,
    private readonly policies: PoliciesService,
    private readonly presence: PresenceService,
    private readonly grants: GrantsService,
    private readonly repository: SessionsRepository,
    private readonly events: EventsService,
    private readonly config: SessionsConfig,
    private readonly sessions: SessionsService,
    private readonly locks: LocksRepository,
  ) {}

  /** @throws {SessionRefusal} */
  async open(asked: OpenRequest): Promise<OpenedSession> {
    // As stored: a grant that is refreshed later must be narrowed by the same parameters.
    const request = { ...asked, parameters: boundedParameters(asked.parameters) }
    const target = await this.#target(request)
    const identity = await this.#identity(request.identity)
    const policy = await this.policies.resolve(identity, viewOf(target))
    if (!policy) {
      throw new SessionRefusal('POLICY_DENIED', `no policy gives ${identity.kind} ${identity.name} a session on ${target.name}`, 'An administrator adds a policy that names both.')
    }
    // Behind the policy: who has no access learns nothing about the target.
    if (request.credential === undefined && target.spec.credentials === 'exchanged') {
      throw new SessionRefusal(
        'EXCHANGE_REQUIRED',
        `the target ${target.name} takes no token as the password, only a credential made for it`,
        `Use \`sallyport exec ${target.name} -- COMMAND\`, or exchange the token with POST /v1/token.`,
      )
    }
    if (await this.locks.isLocked({ kind: 'target', name: target.name })) throw locked(`the target ${target.name}`)
    const agent = await this.presence.choose(request.gatewayId, target)
    if (agent === 'locked') throw locked(`every agent for the target ${target.name}`)
    if (agent === undefined) {
      throw new SessionRefusal('NO_AGENT', `no agent for the target ${target.name} is connected to this gateway`, 'Start the agent beside the target; `sallyport agents` shows which are connected.')
    }
    const hash = grantHash(identity, target, policy)
    const opened = await this.#create(request, target, identity, policy, agent.id, hash)
    // Documents and locks of the time since the look-up above were applied to the sessions that were there by then: not this one.
    if (!(await this.#stands(request, hash, agent.name))) {
      await this.sessions.kill(opened.sessionId, 'the policy changed, or something was locked, while the session was being opened', 'policy')
      throw new SessionRefusal('UNAVAILABLE', 'the policy changed at this moment', 'Connect again.')
    }
    return opened
  }

  async #stands(request: OpenRequest, hash: string, agent: string): Promise<boolean> {
    try {
      const target = await this.#target(request)
      const identity = await this.#identity(request.identity)
      const policy = await this.policies.resolve(identity, viewOf(target))
      if (!policy || grantHash(identity, target, policy) !== hash) return false
      return !(await this.locks.isLocked({ kind: 'target', name: target.name })) && !(await this.locks.isLocked({ kind: 'agent', name: agent }))
    } catch (error) {
      if (error instanceof SessionRefusal) return false
      throw error
    }
  }

  async #target(request: OpenRequest): Promise<TargetDocument> {
    const target = await this.targets.find(request.target)
    if (!target) throw new SessionRefusal('TARGET_UNKNOWN', `there is no target "${request.target.slice(0, 100)}"`, 'Give a target as the user name; `sallyport targets` lists them.')
    if (target.spec.protocol !== request.protocol) {
      throw new SessionRefusal('TARGET_UNKNOWN', `the target ${target.name} speaks ${target.spec.protocol}, not ${request.protocol.slice(0, 40)}`, "Connect to the gateway's listener for it.")
    }
    // A target is one database. Asking for another one must not look as if it had been given.
    const asked = request.parameters['database']
    const own = databaseOf(target)
    if (asked !== undefined && asked !== '' && asked !== request.user && asked !== own && asked !== target.name) {
      throw new SessionRefusal('DATABASE_REFUSED', `the target ${target.name} is the database ${own ?? target.name}, not "${asked.slice(0, 100)}"`, `Leave the database out, or ask for ${own ?? target.name}.`)
    }
    return narrowed(target, request.parameters)
  }

  async #identity(known: Identity): Promise<Identity> {
    try {
      return await this.identities.current(known)
    } catch (error) {
      if (error instanceof IdentityError) throw new SessionRefusal('LOCKED', error.message, error.hint)
      throw error
    }
  }

  async #create(request: OpenRequest, target: TargetDocument, identity: Identity, policy: ResolvedWithHash, agentId: string, hash: string): Promise<OpenedSession> {
    const sessionId = uuid()
    const createdAt = new Date()
    const expiresAt = new Date(createdAt.getTime() + policy.terms.ttl_seconds * 1000)
    const grant = await this.grants.mint({ sessionId, version: 1, agentId, identity, target, policy, expiresAt })
    const who = { kind: identity.kind, name: identity.name, groups: identity.groups }
    const credential = request.credential
    await this.repository.transaction(async (tx) => {
      if (credential && !(await credential.take(tx))) {
        throw new SessionRefusal('AUTHENTICATION_FAILED', 'the credential was used, revoked or has expired a moment ago', 'Exchange a token for a new one.')
      }
      await this.repository.create(tx, {
        id: sessionId,
        identityKind: identity.kind,
        identity: identity.name,
        groups: [...identity.groups],
        claims: { ...identity.claims },
        actor: identity.actor ?? null,
        credentialId: credential?.id ?? null,
        target: target.name,
        protocol: target.spec.protocol,
        agentId,
        gatewayId: request.gatewayId,
        clientAddress: request.clientAddress.slice(0, 200),
        parameters: { ...request.parameters },
        policyHash: hash,
        matchHash: identity.matchHash,
        leaseUntil: new Date(createdAt.getTime() + this.config.leaseSeconds * 1000),
        createdAt,
        expiresAt,
      })
      const client_address = request.clientAddress.slice(0, 200)
      await this.events.appendWithin(tx, [
        { kind: 'auth.succeeded', identity: who, method: request.method, target: target.name, client_address, claims: identity.claims },
        {
          kind: 'session.opened',
          session: sessionId,
          identity: who,
          claims: identity.claims,
          ...(identity.actor === undefined ? {} : { actor: identity.actor }),
          target: target.name,
          protocol: target.spec.protocol,
          agent: agentId,
          gateway: request.gatewayId,
          client_address,
          ...(credential ? { credential: credential.id } : {}),
          policy_hash: hash,
          expires_at: expiresAt.toISOString(),
        },
      ])
    })
    return { sessionId, agentId, grant }
  }
}

const locked = (what: string): SessionRefusal => new SessionRefusal('LOCKED', `${what} is locked`, 'An administrator or operator can say why, and release it.')

function narrowed(target: TargetDocument, parameters: Readonly<Record<string, string>>): TargetDocument {
  try {
    return narrowedTo(target, parameters)
  } catch (error) {
    if (!(error instanceof TargetSpecError)) throw error
    throw new SessionRefusal('PARAMETERS_REFUSED', `the target ${target.name} refuses this: ${error.message}`, 'Ask for what the target offers, or leave it out.')
  }
}

function boundedParameters(parameters: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(parameters).slice(0, maxParameters).map(([name, value]) => [name.slice(0, 128), value.slice(0, maxParameterLength)]))
}
