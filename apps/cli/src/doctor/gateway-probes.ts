import { execFile } from 'node:child_process'
import { parsePublicKeyLine, publicKeyLine } from '@sallyport/ssh-keys'
import { connectionFailure } from '../http/wire.js'
import { certificateCheck, tlsCheck } from './certificate.js'
import { fail, fine, skipped, type Check } from './check.js'
import { dial, handshake, received } from './sockets.js'

/** A listener of a gateway, as the control plane tells clients to reach it. */
export interface Listener {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly caPem: string
  /** Lines of known_hosts that the control plane publishes. */
  readonly knownHosts: string
}

const dead = 'start the gateway, or correct SALLYPORT_GATEWAY_PUBLIC_HOST and its ports in the control plane'
const untrusted = "it isn't the certificate of this installation, or not for this name: see SALLYPORT_GATEWAY_HOSTNAMES, SALLYPORT_GATEWAY_TLS_CERT_FILE"

/** A listener that speaks TLS from the first byte. */
export function probeTls({ name, host, port, caPem }: Listener): Promise<Check> {
  return tlsCheck(name, host, port, caPem, { dead, untrusted })
}

/** PostgreSQL's SSLRequest (protocol documentation, 54.2.10), then TLS. */
export async function probePostgres({ name, host, port, caPem }: Listener): Promise<Check> {
  let socket
  try {
    socket = await dial(host, port)
  } catch (error) {
    return fail(name, `can't connect to ${host}:${port}: ${connectionFailure(error)}`, dead)
  }
  try {
    socket.write(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]))
    const answer = await received(socket, 1)
    if (answer.toString('latin1') !== 'S') return fail(name, `${host}:${port} does not offer TLS as a gateway does`, 'something else listens there, or the gateway runs with SALLYPORT_INSECURE_PLAINTEXT')
    return certificateCheck(name, await handshake(socket, host, caPem), Date.now())
  } catch (error) {
    return fail(name, `TLS with ${host}:${port} failed: ${connectionFailure(error)}`, untrusted)
  } finally {
    socket.destroy()
  }
}

/** The banner (RFC 4253, 4.2), and the host keys by ssh-keyscan: they must be the published ones. */
export async function probeSsh({ name, host, port, knownHosts }: Listener): Promise<Check> {
  let socket
  try {
    socket = await dial(host, port)
  } catch (error) {
    return fail(name, `can't connect to ${host}:${port}: ${connectionFailure(error)}`, dead)
  }
  const banner = (await received(socket, 8).finally(() => socket.destroy())).toString('latin1')
  if (!banner.startsWith('SSH-2.0-')) return fail(name, `${host}:${port} does not speak SSH`, 'something else listens there')
  const place = port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`
  const published = keysOf(knownHosts, place)
  if (published.length === 0) return fail(name, `no host key is published for ${place}`, 'check SALLYPORT_GATEWAY_PUBLIC_ADDRESS_SSH or SALLYPORT_GATEWAY_HOSTNAMES of the gateway, and that it is connected')
  const scanned = await scan(host, port)
  if (scanned === undefined) return skipped(name, `${host}:${port} speaks SSH; its host key was not compared, because there is no ssh-keyscan here`)
  const shown = keysOf(scanned, place)
  if (shown.length === 0) return fail(name, `${host}:${port} shows no host key`, 'look into the log of the gateway')
  const foreign = shown.filter((key) => !published.includes(key))
  return foreign.length === 0 ? fine(name, `speaks SSH; its ${shown.length} host key${shown.length === 1 ? ' is' : 's are'} the published`) : fail(name, `${host}:${port} shows a host key that is not published`, 'somebody else may answer there: do not connect until it is known who')
}

function keysOf(lines: string, place: string): string[] {
  return lines.split('\n').flatMap((line) => {
    const space = line.indexOf(' ')
    if (space < 0 || line.slice(0, space).toLowerCase() !== place) return []
    try {
      return [publicKeyLine(parsePublicKeyLine(line.slice(space + 1)))]
    } catch {
      return []
    }
  })
}

function scan(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile('ssh-keyscan', ['-T', '5', '-p', String(port), '--', host], { timeout: 15_000 }, (error, stdout) => resolve(error && 'code' in error && error.code === 'ENOENT' ? undefined : stdout))
  })
}
