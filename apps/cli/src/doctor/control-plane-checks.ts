import { ApiProblem, given, ok, type Api, type Schemas } from '@sallyport/api-client'
import type { Connection } from '../config.js'
import { failureOf } from '../report.js'
import { connectionFailure, fetchWith } from '../http/wire.js'
import { everything, listed } from '../http/control-plane.js'
import { tlsCheck } from './certificate.js'
import { fail, fine, skipped, warn, type Check } from './check.js'
import { dial } from './sockets.js'

const dayMilliseconds = 86_400_000
const soonDays = 7
/** Proofs that carry a time are refused when it is a minute off. */
const skewWarnSeconds = 10
const skewFailSeconds = 60
const behindRecords = 10_000
const behindSeconds = 300

/** DNS, TCP, TLS, what it says of itself, and its clock. */
export async function controlPlane({ url, ca }: Connection): Promise<Check[]> {
  const name = 'control plane'
  const secure = url.protocol === 'https:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = Number(url.port) || (secure ? 443 : 80)
  const dead = 'check SALLYPORT_URL, and that the control plane runs'
  const reached = secure ? await tlsCheck(name, host, port, ca, { dead, untrusted: 'if it has a certificate of your own authority, name that in SALLYPORT_CA_FILE' }) : await plain(name, host, port, dead)
  if (reached.status === 'fail') return [reached]
  try {
    const before = Date.now()
    const response = await fetchWith(ca)(new Request(new URL('/readyz', url), { signal: AbortSignal.timeout(10_000) }))
    const text = await response.text()
    const ready = response.ok ? fine('readiness', 'database and gRPC listener are up') : fail('readiness', `it answers ${response.status}: ${text.slice(0, 200)}`, "look into the control plane's log: its database or its gRPC listener is down")
    return [reached, ready, clock(response.headers.get('date'), before, Date.now())]
  } catch (error) {
    return [reached, fail('readiness', `no answer: ${connectionFailure(error)}`, dead)]
  }
}

async function plain(name: string, host: string, port: number, fix: string): Promise<Check> {
  try {
    const socket = await dial(host, port)
    socket.destroy()
    return fine(name, `reached at ${host}:${port}, without TLS`)
  } catch (error) {
    return fail(name, `can't connect to ${host}:${port}: ${connectionFailure(error)}`, fix)
  }
}

/** The Date header has whole seconds, and stands for any moment between question and answer. */
export function clock(header: string | null, before: number, after: number): Check {
  const there = Date.parse(header ?? '')
  if (Number.isNaN(there)) return skipped('clock', 'the control plane tells no time')
  const skew = Math.round(Math.max(0, before - (there + 999), there - after) / 1000)
  const fix = 'set the clocks: let NTP run here and there'
  if (skew >= skewFailSeconds) return fail('clock', `this machine and the control plane differ by ${skew} s: tokens and certificates are refused`, fix)
  return skew >= skewWarnSeconds ? warn('clock', `this machine and the control plane differ by ${skew} s`, fix) : fine('clock', 'agrees with the control plane')
}

/** Whose the token is, and how long it lives. Without it nothing more can be asked. */
export async function token(api: Api): Promise<{ readonly check: Check; readonly works: boolean }> {
  const name = 'API token'
  try {
    const me = await ok(api.GET('/v1/whoami'))
    const tokens = await listed(everything, (page) => ok(api.GET('/v1/tokens', { params: { query: given({ user: me.user, ...page }) } })))
    const expires = tokens.find(({ id }) => id === me.token_id)?.expires_at
    const who = `${me.user} (${me.roles.join(', ') || 'no roles'})`
    const days = expires === null || expires === undefined ? Infinity : (Date.parse(expires) - Date.now()) / dayMilliseconds
    const until = expires === null || expires === undefined ? 'without an end' : `until ${expires}`
    return { works: true, check: days < soonDays ? warn(name, `${who}, ${until}`, `make a new one: sallyport tokens create ${me.user} --name …`) : fine(name, `${who}, ${until}`) }
  } catch (error) {
    const { message } = failureOf(error)
    return { works: false, check: fail(name, message, 'it may have expired or been revoked: an admin makes one with `sallyport tokens create USER --name …`') }
  }
}

/** Which gateways and agents are connected to what. */
export async function nodes(api: Api): Promise<Check[]> {
  const all = (await listed(everything, (page) => ok(api.GET('/v1/agents', { params: { query: given(page) } })))).filter(({ revoked_at: revoked }) => revoked === null)
  const checks = all.map(nodeCheck)
  for (const kind of ['gateway', 'agent'] as const) {
    if (!all.some((node) => node.kind === kind)) checks.push(fail(`${kind}s`, `no ${kind} is enrolled`, `sallyport agents token NAME${kind === 'gateway' ? ' --kind gateway' : ''} makes a token to enrol one`))
  }
  return checks
}

function nodeCheck({ kind, name, connected, gateways, last_seen_at: seen }: Schemas['Node']): Check {
  const label = `${kind} ${name}`
  if (!connected) return fail(label, `not connected; last seen ${seen ?? 'never'}`, `start it, or look into its log; if it is gone for good: sallyport agents revoke ${name}`)
  if (kind === 'gateway') return fine(label, `connected, last seen ${seen ?? 'now'}`)
  const to = (gateways ?? []).map(({ gateway, draining }) => gateway + (draining ? ' (draining)' : '')).join(', ')
  return (gateways ?? []).every(({ draining }) => draining) ? warn(label, `connected only to gateways that are draining: ${to}`, 'wait until they are back, or start another gateway') : fine(label, `connected to ${to}`)
}

/** The newest signed state of the audit log. Reading it all is `sallyport audit verify`. */
export async function auditHead(api: Api): Promise<Check> {
  return permitted('audit log', async () => {
    const { note } = await ok(api.GET('/v1/audit/checkpoint'))
    const [, size = '?'] = note.split('\n')
    return fine('audit log', `signed up to ${size} records; \`sallyport audit verify\` reads all of it`)
  })
}

/** Whether events leave as they come. */
export async function sinks(api: Api): Promise<Check[]> {
  try {
    const all = await listed(everything, (page) => ok(api.GET('/v1/sinks', { params: { query: given(page) } })))
    return all.length === 0 ? [skipped('sinks', 'there are none')] : all.map(sinkCheck)
  } catch (error) {
    return [await permitted('sinks', () => Promise.reject(error instanceof Error ? error : new Error(String(error))))]
  }
}

function sinkCheck({ name, state, last_error: error, lag_records: records, lag_seconds: seconds, dead_letters: letters }: Schemas['Sink']): Check {
  const label = `sink ${name}`
  if (state === 'failing') return fail(label, `failing: ${error ?? 'no reason is told'}; ${records} events behind`, `mend the receiver, then: sallyport sinks test ${name}`)
  if (state === 'paused') return warn(label, `paused; ${records} events behind`, 'let it run again in its document')
  if (records > behindRecords || seconds > behindSeconds) return warn(label, `${records} events (${seconds} s) behind`, 'the receiver takes less than comes: see docs/sinks.md')
  return letters > 0 ? warn(label, `${letters} dead letters`, `sallyport sinks dead-letters ${name}`) : fine(label, `${records} events behind`)
}

/** What the token may not ask is said to be unseen, not well and not broken. */
async function permitted(name: string, look: () => Promise<Check>): Promise<Check> {
  try {
    return await look()
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 403) return skipped(name, 'your roles do not let you see it')
    return fail(name, failureOf(error).message, "look into the control plane's log")
  }
}
