import { createApi, given, ok, type Api, type Schemas } from '@sallyport/api-client'
import type { GlobalOptions } from '../config.js'
import { everything, listed } from '../http/control-plane.js'
import { fetchWith } from '../http/wire.js'
import { clientFor, clientPrograms } from '../protocols.js'
import { failureOf } from '../report.js'
import { fail, skipped, type Check } from './check.js'
import { auditHead, controlPlane, nodes, sinks, token } from './control-plane-checks.js'
import { configuration, program } from './local.js'

const timeoutMilliseconds = 10_000

/** Every hop from this machine to a target, as far as it can be seen from here; of all targets, or of one. */
export async function* examine(options: GlobalOptions, env: NodeJS.ProcessEnv, target: string | undefined): AsyncGenerator<Check> {
  const { checks, connection } = configuration(options, env)
  yield* checks
  if (!connection) return
  const reached = await controlPlane(connection)
  yield* reached
  if (reached.some(({ name, status }) => name !== 'clock' && status === 'fail')) return
  if (connection.token === undefined) {
    yield skipped('API token', 'none is configured: what follows needs one (SALLYPORT_TOKEN, --api-token-file)')
    return
  }
  const api = createApi({ baseUrl: connection.url.origin + connection.url.pathname.replace(/\/$/, ''), token: connection.token, fetch: fetchWith(connection.ca), timeoutMilliseconds, retries: 1 })
  const { check, works } = await token(api)
  yield check
  if (!works) return
  yield* await told('gateways and agents', () => nodes(api))
  yield* await told('targets', () => listeners(api, target))
  yield* await told('sinks', async () => [await auditHead(api), ...(await sinks(api))])
  yield skipped('spool', 'how far an agent is behind with its records only its own metrics tell: docs/operations.md')
}

/** The listeners that the targets' protocols need: one look at each address, whatever number of targets it serves. */
async function listeners(api: Api, only: string | undefined): Promise<Check[]> {
  const all = await listed(everything, (page) => ok(api.GET('/v1/targets', { params: { query: given(page) } })))
  const chosen = all.filter(({ name }) => only === undefined || name === only)
  if (chosen.length === 0) {
    return [only === undefined ? skipped('targets', 'there are none, or none that you may see') : fail(`target ${only}`, 'there is no such target', 'sallyport targets list')]
  }
  const knownHosts = await ok(api.GET('/v1/ssh/known-hosts', { parseAs: 'text', headers: { accept: 'text/plain' } }))
  const oneOfEach = [...new Map(chosen.map((one) => [one.protocol, one])).values()]
  const found: Check[] = []
  for (const one of oneOfEach) found.push(await listener(api, one, knownHosts))
  const programs = clientPrograms(oneOfEach.map(({ protocol }) => protocol))
  found.push(...(await Promise.all(programs.map(({ name, args }) => program(name, args)))))
  found.push(skipped(only === undefined ? 'targets behind agents' : `target ${only} behind its agent`, `only a session shows it, and policies decide about that: sallyport exec ${only ?? 'TARGET'} -- …`))
  return found
}

async function listener(api: Api, { name, protocol }: Schemas['Target'], knownHosts: string): Promise<Check> {
  const { host, port, ca_pem: caPem } = await ok(api.GET('/v1/targets/{name}/connection', { params: { path: { name } } }))
  const label = `gateway listener for ${protocol}`
  const client = clientFor(protocol)
  return client ? client.probe({ name: label, host, port, caPem, knownHosts }) : skipped(label, 'this command does not know the protocol: is it as new as the control plane?')
}

async function told(name: string, look: () => Promise<Check[]>): Promise<Check[]> {
  try {
    return await look()
  } catch (error) {
    return [fail(name, failureOf(error).message, "look into the control plane's log")]
  }
}
