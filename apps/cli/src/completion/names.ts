import { given, ok, type Api } from '@sallyport/api-client'
import type { Candidate } from './wanted.js'

type Source = (api: Api) => Promise<readonly Candidate[]>

const page = { limit: 100 }

const targets: Source = async (api) =>
  (await ok(api.GET('/v1/targets', { params: { query: page } }))).items.map(({ name, protocol }) => ({ value: name, text: protocol }))
const sessions = (state?: 'live'): Source => async (api) =>
  (await ok(api.GET('/v1/sessions', { params: { query: given({ state, ...page }) } }))).items.map(({ id, identity, target }) => ({ value: id, text: `${identity.name} on ${target}` }))
const approvals: Source = async (api) =>
  (await ok(api.GET('/v1/approvals', { params: { query: { state: 'pending', ...page } } }))).items.map(({ id, identity, target }) => ({ value: id, text: `${identity.name} on ${target}` }))
const credentials: Source = async (api) =>
  (await ok(api.GET('/v1/credentials', { params: { query: { state: 'live', ...page } } }))).items.map(({ id, identity, target }) => ({ value: id, text: `${identity.name} on ${target}` }))
const nodes: Source = async (api) => (await ok(api.GET('/v1/agents', { params: { query: page } }))).items.map(({ name, kind }) => ({ value: name, text: kind }))
const sinks: Source = async (api) => (await ok(api.GET('/v1/sinks', { params: { query: page } }))).items.map(({ name, kind }) => ({ value: name, text: kind }))
const tokens: Source = async (api) => (await ok(api.GET('/v1/tokens', { params: { query: page } }))).items.map(({ id, user, name }) => ({ value: id, text: `${user}: ${name}` }))
const users: Source = async (api) => (await ok(api.GET('/v1/users', { params: { query: page } }))).items.map(({ name, roles }) => ({ value: name, text: roles.join(', ') }))
const locks: Source = async (api) => (await ok(api.GET('/v1/locks', { params: { query: page } }))).items.map(({ id, kind, name }) => ({ value: id, text: `${kind} ${name}` }))
const searches: Source = async (api) => (await ok(api.GET('/v1/audit/searches', { params: { query: page } }))).items.map(({ name, owner }) => ({ value: name, text: owner }))
const workloads: Source = async (api) =>
  (await ok(api.GET('/v1/documents', { params: { query: { kind: 'Workload', ...page } } }))).items.map(({ name }) => ({ value: name, text: 'workload' }))
const identities: Source = async (api) => (await Promise.all([workloads(api), users(api)])).flat()

/** By command and the name of its option or argument, else by that name alone. */
const sources: Readonly<Record<string, Source>> = {
  target: targets,
  session: sessions(),
  identity: identities,
  who: identities,
  as: identities,
  saved: searches,
  'approvals show id': approvals,
  'approvals approve id': approvals,
  'approvals reject id': approvals,
  'sessions show id': sessions(),
  'sessions replay id': sessions(),
  'sessions export id': sessions(),
  'sessions watch id': sessions('live'),
  'sessions kill id': sessions('live'),
  'credentials revoke id': credentials,
  'agents revoke id': nodes,
  'tokens revoke id': tokens,
  'tokens create user': users,
  'sinks dead-letters name': sinks,
  'sinks retry name': sinks,
  'sinks test name': sinks,
  'audit saved delete name': searches,
  'locks release id': locks,
}

/** Where names come from; undefined when the control plane knows none of this kind. */
export const sourceOf = (command: string, name: string): Source | undefined => sources[`${command} ${name}`] ?? sources[name]
