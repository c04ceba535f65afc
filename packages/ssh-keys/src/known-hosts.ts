import { malformed } from './errors.js'
import { parsePublicKeyLine, publicKeyLine } from './public-key.js'

export interface HostAddress {
  readonly host: string
  readonly port: number
}

/**
 * A line of a known_hosts file for exactly this address: the plain name for port 22, `[name]:port` otherwise, as ssh looks
 * it up. Patterns are refused: a key must not count for hosts that nobody named.
 * @throws {SshKeyError}
 */
export function knownHostsLine(address: HostAddress, keyLine: string): string {
  const { host, port } = address
  if (!/^[A-Za-z0-9._:-]{1,253}$/.test(host) || host.startsWith('-')) throw malformed('a host name for known_hosts holds other signs than letters, digits, dots and dashes')
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw malformed('a port must be between 1 and 65535')
  const name = host.toLowerCase()
  return `${port === 22 ? name : `[${name}]:${port}`} ${publicKeyLine(parsePublicKeyLine(keyLine))}`
}

/** `host:port` or `[ipv6]:port`. Undefined when it is neither. */
export function parseHostAddress(text: string): HostAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9._-]{1,253})):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port }
}
