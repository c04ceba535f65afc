import type { HostKeyReceived } from '@sallyport/proto'
import { parseHostAddress, parsePublicKeyLine, publicKeyLine, SshKeyError } from '@sallyport/ssh-keys'
import { z } from 'zod'

const maxKeys = 64

/** By which clients of a protocol recognise a gateway. */
export interface StoredHostKey {
  readonly protocol: string
  /** `ssh-ed25519 AAAA…`, without a comment. */
  readonly public_key: string
  /** host:port; empty when the gateway doesn't know it. */
  readonly address: string
}

const stored = z.array(z.object({ protocol: z.string(), public_key: z.string(), address: z.string() }))

/** Those of a hello that are keys, in their one form: they end up in clients' known_hosts files, line by line. */
export function acceptedHostKeys(received: readonly HostKeyReceived[]): StoredHostKey[] {
  return received.slice(0, maxKeys).flatMap(({ protocol, publicKey, address }) => {
    if (!/^[a-z0-9-]{1,32}$/.test(protocol) || (address !== '' && !parseHostAddress(address))) return []
    try {
      return [{ protocol, public_key: publicKeyLine(parsePublicKeyLine(publicKey)), address }]
    } catch (error) {
      if (error instanceof SshKeyError) return []
      throw error
    }
  })
}

/** As they stand in the database. */
export function hostKeysOf(row: { readonly hostKeys: unknown }): readonly StoredHostKey[] {
  const parsed = stored.safeParse(row.hostKeys)
  return parsed.success ? parsed.data : []
}
