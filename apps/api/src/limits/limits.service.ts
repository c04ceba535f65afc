import { Injectable } from '@nestjs/common'
import type { Response } from 'express'
import { Problem } from '../problem/problem.js'
import { LimitsConfig } from './limits.config.js'
import { RateLimit } from './rate-limit.js'

const burstSeconds = 6

interface Policy {
  readonly name: string
  /** Undefined sets no limit. */
  readonly limit: RateLimit | undefined
  readonly whose: string
}

/** Who may ask how often, counted in this process: with several replicas each counts for itself. */
@Injectable()
export class LimitsService {
  readonly #principal: Policy
  readonly #address: Policy
  readonly #public: Policy
  readonly #streams = new Map<string, number>()

  constructor(private readonly config: LimitsConfig) {
    const limitOf = (perSecond: number): RateLimit | undefined => (perSecond === 0 ? undefined : new RateLimit(Math.max(1, perSecond * burstSeconds), perSecond))
    this.#principal = { name: 'principal', limit: limitOf(config.principalPerSecond), whose: 'you' }
    this.#address = { name: 'address', limit: limitOf(config.addressPerSecond), whose: 'this address' }
    this.#public = { name: 'public', limit: limitOf(config.publicPerSecond), whose: 'this address' }
  }

  /** Before anything is looked up. @throws {Problem} 429 */
  ofAddress(address: string, response: Response): void {
    charge(this.#address, address, response)
  }

  /** Of a route that asks for no token: strangers cost more than they show. @throws {Problem} 429 */
  ofPublicRoute(address: string, route: string, response: Response): void {
    charge(this.#public, `${route} ${address}`, response)
  }

  /** @throws {Problem} 429 */
  ofPrincipal(user: string, response: Response): void {
    charge(this.#principal, user, response)
  }

  /** A stream is open until its response is closed. @throws {Problem} 429 */
  openStream(who: string, response: Response): void {
    const open = this.#streams.get(who) ?? 0
    if (open >= this.config.maxStreams) {
      response.setHeader('Retry-After', '5')
      throw new Problem(429, 'TOO_MANY_STREAMS', `You have ${open} streams open.`, { hint: 'Close one first.' })
    }
    this.#streams.set(who, open + 1)
    response.once('close', () => {
      const left = (this.#streams.get(who) ?? 1) - 1
      if (left > 0) this.#streams.set(who, left)
      else this.#streams.delete(who)
    })
  }
}

/** Headers of draft-ietf-httpapi-ratelimit-headers-10; of several limits the last one that was charged is told. */
function charge({ name, limit, whose }: Policy, key: string, response: Response): void {
  if (!limit) return
  const { allowed, remaining, resetSeconds } = limit.charge(key)
  response.setHeader('RateLimit-Policy', `"${name}";q=${Math.floor(limit.burst)};w=${burstSeconds}`)
  response.setHeader('RateLimit', `"${name}";r=${remaining};t=${resetSeconds}`)
  if (allowed) return
  response.setHeader('Retry-After', String(resetSeconds))
  throw new Problem(429, 'TOO_MANY_REQUESTS', `Too many requests from ${whose}.`, { hint: `Wait ${resetSeconds} s, as Retry-After says.` })
}
