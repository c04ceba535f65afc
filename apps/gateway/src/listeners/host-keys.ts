import { join } from 'node:path'
import { readIfThere, refuseSharedKey, writeAtomically } from '@sallyport/node-identity'
import { generateKeyPair, knownHostsLine, parsePrivateKey, publicKeyLine, publicKeyOf, type HostAddress } from '@sallyport/ssh-keys'

/** The keys by which clients of some protocols (SSH) recognise this gateway. */
export interface HostKeys {
  /** OpenSSH PEM, in the order in which they are offered. Secret. */
  readonly privateKeys: readonly string[]
  /** `ssh-ed25519 AAAA…`, in the same order. */
  readonly publicKeys: readonly string[]
}

/** Ed25519 first; ECDSA for clients that don't have it. */
const files = [
  { name: 'host_key_ed25519', type: 'ssh-ed25519' },
  { name: 'host_key_ecdsa', type: 'ecdsa-sha2-nistp256' },
] as const

/**
 * The gateway's host keys, made at its first start. They are never made anew by themselves: clients would take the next
 * one for an attack.
 * @throws {IdentityError} when a key file can be read by others, or not by us
 * @throws {SshKeyError} when a key file is damaged
 */
export async function loadHostKeys(dataDir: string): Promise<HostKeys> {
  const privateKeys: string[] = []
  for (const { name, type } of files) {
    const existing = await readIfThere(dataDir, name)
    if (existing === undefined) {
      const { privateKeyPem } = generateKeyPair('sallyport gateway', type)
      await writeAtomically(dataDir, name, privateKeyPem)
      privateKeys.push(privateKeyPem)
    } else {
      await refuseSharedKey(dataDir, name)
      privateKeys.push(existing)
    }
  }
  return { privateKeys, publicKeys: privateKeys.map((pem) => publicKeyLine(publicKeyOf(parsePrivateKey(pem)))) }
}

/** For people who copy it to clients by hand: `known_hosts` in the gateway's folder. Returns the file's path. */
export async function writeKnownHosts(dataDir: string, addresses: readonly HostAddress[], keys: HostKeys): Promise<string> {
  const lines = addresses.flatMap((address) => keys.publicKeys.map((key) => `${knownHostsLine(address, key)}\n`))
  await writeAtomically(dataDir, 'known_hosts', lines.join(''))
  return join(dataDir, 'known_hosts')
}
