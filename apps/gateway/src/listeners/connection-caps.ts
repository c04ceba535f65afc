import { isIPv6 } from 'node:net'

/** What the caps need of a socket. */
export interface CappedConnection {
  readonly bytesRead: number
  destroy(): void
}

interface Entry {
  readonly connection: CappedConnection
  readonly since: number
}

/** A connection that has said something gets this long before it may have to make room. */
const PATIENCE_MILLISECONDS = 500

/**
 * Bounds the connections that have not authenticated, in all and by client address. At the bound a new one takes the
 * place of the oldest that has sent nothing, or nothing finished for half a second: otherwise a few hundred idle
 * connections would shut everybody out for as long as the handshake deadline. Where no such one is, the new one goes.
 */
export class ConnectionCaps {
  #total = 0
  readonly #byAddress = new Map<string, Set<Entry>>()

  constructor(
    private readonly maxTotal: number,
    private readonly maxPerAddress: number,
    private readonly onEvicted: () => void = () => {},
    private readonly now: () => number = () => performance.now(),
  ) {}

  get total(): number {
    return this.#total
  }

  /** Takes a place, and returns the function that gives it back (once, however often it is called). Undefined: full. */
  admit(address: string, connection: CappedConnection): (() => void) | undefined {
    const key = addressKey(address)
    if ((this.#byAddress.get(key)?.size ?? 0) >= this.maxPerAddress && !this.#makeRoom(key)) return undefined
    if (this.#total >= this.maxTotal && !this.#makeRoom(this.#busiest())) return undefined
    const group = this.#byAddress.get(key) ?? new Set()
    this.#byAddress.set(key, group)
    const entry = { connection, since: this.now() }
    group.add(entry)
    this.#total += 1
    return () => this.#remove(key, entry)
  }

  #remove(key: string, entry: Entry): void {
    const group = this.#byAddress.get(key)
    if (!group?.delete(entry)) return
    this.#total -= 1
    if (group.size === 0) this.#byAddress.delete(key)
  }

  /** Evicts one of this address. Sets keep the order of arrival, so the first that qualifies is the oldest. */
  #makeRoom(key: string): boolean {
    const impatient = this.now() - PATIENCE_MILLISECONDS
    let victim: Entry | undefined
    for (const entry of this.#byAddress.get(key) ?? []) {
      if (entry.connection.bytesRead === 0) {
        victim = entry
        break
      }
      if (entry.since < impatient) victim ??= entry
    }
    if (victim === undefined) return false
    this.#remove(key, victim)
    victim.connection.destroy()
    this.onEvicted()
    return true
  }

  #busiest(): string {
    let busiest = ''
    let most = 0
    for (const [key, group] of this.#byAddress) {
      if (group.size > most) [busiest, most] = [key, group.size]
    }
    return busiest
  }
}

/** One IPv6 client has a whole /64 to choose from; IPv4 in IPv6 clothes is IPv4. */
export function addressKey(address: string): string {
  const plain = address.toLowerCase().replace(/%.*$/, '')
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain)
  if (mapped?.[1] !== undefined) return mapped[1]
  if (!isIPv6(plain)) return plain
  const [head = '', tail] = plain.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length
  const groups = [...left, ...Array<string>(Math.max(0, zeros)).fill('0'), ...right]
  return groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16)).join(':') + '::/64'
}
