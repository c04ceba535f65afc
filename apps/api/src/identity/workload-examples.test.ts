import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseDocumentFiles } from '@sallyport/kit'
import type { IdentityProviderDocument, WorkloadDocument } from '@sallyport/policy'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import { documentContext } from '../documents/document-set.js'
import { FetchRefusedError } from './guarded-fetch.js'
import { keptClaims } from './kept-claims.js'
import { KeySets } from './key-sets.js'
import { verifyToken } from './token-verifier.js'
import { actorOf, matchWorkload } from './workload-matcher.js'

/** The documents of examples/workloads with tokens as each provider makes them: claims, and their types, as its documentation has them. */
const directory = join(import.meta.dirname, '../../../../examples/workloads')
const now = 1_800_000_000

type Claims = Readonly<Record<string, unknown>>

interface Example {
  readonly claims: Claims
  readonly header?: { readonly typ?: string }
  /** What others at the same provider come with, and the rule that keeps them out. */
  readonly others: Readonly<Record<string, { readonly claims: Claims; readonly kept: string }>>
  /** What reviewers and events get to see, at the least. */
  readonly shown: Readonly<Record<string, string>>
  readonly actor?: string
  /** Whether the provider's tokens can be exchanged for a credential that is good once. */
  readonly hasId: boolean
}

const github = {
  sub: 'repo:acme/shop:environment:production', jti: '5a1e…', repository: 'acme/shop', repository_id: '481516', repository_owner: 'acme', repository_owner_id: '2342',
  repository_visibility: 'private', ref: 'refs/heads/main', ref_type: 'branch', ref_protected: 'true', sha: '5f2c0c4d', workflow: 'deploy',
  workflow_ref: 'acme/shop/.github/workflows/deploy.yml@refs/heads/main', workflow_sha: '5f2c0c4d', job_workflow_ref: 'acme/shop/.github/workflows/deploy.yml@refs/heads/main',
  run_id: '9001', run_number: '77', run_attempt: '1', actor: 'octo-dev', actor_id: '1', event_name: 'push', environment: 'production', runner_environment: 'github-hosted',
  head_ref: '', base_ref: '', nbf: now - 300, iat: now - 10, exp: now + 290,
}
const gitlab = {
  sub: 'project_path:acme/shop:ref_type:branch:ref:main', jti: 'c82eeb0c', namespace_id: '72', namespace_path: 'acme', project_id: '46573356', project_path: 'acme/shop',
  job_project_id: '46573356', job_project_path: 'acme/shop', user_id: '1', user_login: 'gitta', user_email: 'gitta@example.com', user_access_level: 'developer',
  pipeline_id: '574', pipeline_source: 'push', job_id: '302', ref: 'main', ref_type: 'branch', ref_path: 'refs/heads/main', ref_protected: 'true',
  sha: '8fe1b322', runner_id: 12_270_835, runner_environment: 'gitlab-hosted', groups_direct: ['acme'], nbf: now - 15, iat: now - 10, exp: now + 3600,
}
const kubernetes = {
  sub: 'system:serviceaccount:shop:agent', aud: ['sallyport'], jti: '0c2b7ba4',
  'kubernetes.io': {
    namespace: 'shop', node: { name: 'node-1', uid: '646e7c5e' }, pod: { name: 'agent-6d5', uid: 'bb0ad0d3' },
    serviceaccount: { name: 'agent', uid: '7c9e6679-7425-40de-944b-e07fc1f90ae7' },
  },
  nbf: now - 10, iat: now - 10, exp: now + 590,
}
const account = (name: string, uid: string): Claims => ({ sub: `system:serviceaccount:shop:${name}`, 'kubernetes.io': { ...kubernetes['kubernetes.io'], serviceaccount: { name, uid } } })
const buildkite = {
  sub: 'organization:acme:pipeline:shop:ref:refs/heads/main:commit:9f3182:step:deploy', organization_slug: 'acme', pipeline_slug: 'shop', pipeline_id: '0184990a-477b-4fa8-9968-496074483cee',
  build_number: 1, build_branch: 'main', build_tag: '', build_commit: '9f3182', step_key: 'deploy', job_id: '0184990a', agent_id: '0184990b', build_source: 'webhook',
  runner_environment: 'self-hosted', nbf: now - 5, iat: now - 5, exp: now + 295,
}
const circleci = {
  sub: 'org/9a2f5e64/project/3d1c0f0e/user/5c1a/vcs-origin/github.com/acme/shop/vcs-ref/refs/heads/main',
  'oidc.circleci.com/project-id': '3d1c0f0e-52a1-4f4b-9a39-61f2a0a7c0de', 'oidc.circleci.com/context-ids': ['b6d1'], 'oidc.circleci.com/job-id': '77aa',
  'oidc.circleci.com/workflow-id': '88bb', 'oidc.circleci.com/pipeline-definition-id': '99cc', 'oidc.circleci.com/vcs-origin': 'github.com/acme/shop',
  'oidc.circleci.com/vcs-ref': 'refs/heads/main', 'oidc.circleci.com/ssh-rerun': false, iat: now - 5, exp: now + 3595,
}
const okta = { ver: 1, jti: 'AT.x1', cid: '0oa9reportservice', scp: ['sallyport.connect'], sub: '0oa9reportservice', iat: now - 5, exp: now + 3595 }
const entra = {
  ver: '2.0', azp: 'c2a1f0d4-7b3e-4d58-9f60-1e5a8c9b7d23', azpacr: '1', oid: 'a77e…', sub: 'a77e…', tid: '8f4a5c1e-6d0b-4c8e-9a52-0d6f5b7e3a10', roles: ['Sallyport.Connect'],
  uti: 'mHkqWd', rh: '0.AX', nbf: now - 5, iat: now - 5, exp: now + 3595,
}
const generic = { sub: 'build:report:nightly', jti: 'b-1', build: { branch: 'release/7', number: 12, started_by: 'rosa' }, iat: now - 5, exp: now + 200 }

const examples: Readonly<Record<string, Example>> = {
  'github-actions': {
    claims: github,
    others: {
      'another repository, of the same name by now': { claims: { repository_id: '999' }, kept: 'repository_id' },
      'a pull request': { claims: { event_name: 'pull_request', ref: 'refs/pull/7/merge', sub: 'repo:acme/shop:pull_request' }, kept: 'ref' },
      'what runs after a pull request, on the main branch': { claims: { event_name: 'workflow_run' }, kept: 'event_name' },
      'pull_request_target, on the main branch': { claims: { event_name: 'pull_request_target' }, kept: 'event_name' },
      'another branch': { claims: { ref: 'refs/heads/main-2' }, kept: 'ref' },
      'another workflow': { claims: { workflow_ref: 'acme/shop/.github/workflows/evil.yml@refs/heads/main' }, kept: 'workflow_ref' },
      'no environment': { claims: { environment: undefined }, kept: 'environment' },
    },
    shown: { repository: 'acme/shop', ref: 'refs/heads/main', sha: '5f2c0c4d', run_id: '9001', actor: 'octo-dev', workflow_ref: github.workflow_ref, environment: 'production' },
    actor: 'octo-dev',
    hasId: true,
  },
  'gitlab-ci': {
    claims: gitlab,
    others: {
      'a merge request out of a fork, run here': { claims: { project_id: '777', project_path: 'evil/shop', pipeline_source: 'merge_request_event' }, kept: 'project_id' },
      'a merge request': { claims: { pipeline_source: 'merge_request_event' }, kept: 'pipeline_source' },
      'a branch that is not protected': { claims: { ref_protected: 'false' }, kept: 'ref_protected' },
      'a tag called main': { claims: { ref_type: 'tag', ref_path: 'refs/tags/main' }, kept: 'ref_path' },
    },
    shown: { project_path: 'acme/shop', pipeline_source: 'push', ref_path: 'refs/heads/main', user_login: 'gitta', pipeline_id: '574' },
    actor: 'gitta',
    hasId: true,
  },
  kubernetes: {
    claims: kubernetes,
    others: {
      'another service account': { claims: account('default', 'x'), kept: 'sub' },
      'the same name in another namespace': { claims: { sub: 'system:serviceaccount:shop-test:agent' }, kept: 'sub' },
      'one made anew under the name': { claims: account('agent', 'fresh'), kept: 'kubernetes.io.serviceaccount.uid' },
    },
    shown: { 'kubernetes.io.namespace': 'shop', 'kubernetes.io.pod.name': 'agent-6d5', 'kubernetes.io.serviceaccount.name': 'agent' },
    hasId: true,
  },
  buildkite: {
    claims: buildkite,
    others: {
      'another organisation': { claims: { organization_slug: 'evil' }, kept: 'organization_slug' },
      'another pipeline': { claims: { pipeline_id: 'other' }, kept: 'pipeline_id' },
      'another branch': { claims: { build_branch: 'main-2' }, kept: 'build_branch' },
      'another step': { claims: { step_key: 'test' }, kept: 'step_key' },
    },
    shown: { pipeline_slug: 'shop', build_number: '1', build_branch: 'main', build_source: 'webhook' },
    hasId: false,
  },
  circleci: {
    claims: circleci,
    others: {
      'another project': { claims: { 'oidc.circleci.com/project-id': 'other' }, kept: 'oidc.circleci.com/project-id' },
      'a fork': { claims: { 'oidc.circleci.com/vcs-origin': 'github.com/evil/shop' }, kept: 'oidc.circleci.com/vcs-origin' },
      'a job that somebody opened a shell in': { claims: { 'oidc.circleci.com/ssh-rerun': true }, kept: 'oidc.circleci.com/ssh-rerun' },
    },
    shown: { 'oidc.circleci.com/vcs-ref': 'refs/heads/main', 'oidc.circleci.com/job-id': '77aa' },
    hasId: false,
  },
  okta: {
    claims: okta,
    others: {
      'another client': { claims: { cid: '0oaother', sub: '0oaother' }, kept: 'sub' },
      'a person, through the same client': { claims: { sub: 'eve@example.com', uid: '00u1' }, kept: 'sub' },
      'no leave for it': { claims: { scp: ['openid'] }, kept: 'scp' },
    },
    shown: { cid: '0oa9reportservice', scp: 'sallyport.connect' },
    hasId: true,
  },
  entra: {
    claims: entra,
    others: {
      'another application': { claims: { azp: 'other' }, kept: 'azp' },
      'a person, through the same application': { claims: { roles: undefined, scp: 'user_impersonation', name: 'Eve' }, kept: 'roles' },
      'another tenant': { claims: { tid: 'other' }, kept: 'tid' },
    },
    shown: { azp: entra.azp, roles: 'Sallyport.Connect', azpacr: '1' },
    hasId: true,
  },
  generic: {
    claims: generic,
    header: { typ: 'at+jwt' },
    others: {
      'another build': { claims: { sub: 'build:report:weekly' }, kept: 'sub' },
      'another branch': { claims: { build: { branch: 'release/7/x' } }, kept: 'build.branch' },
    },
    shown: { 'build.number': '12', 'build.branch': 'release/7' },
    actor: 'rosa',
    hasId: true,
  },
}

let keys: Awaited<ReturnType<typeof generateKeyPair>>
let others: Awaited<ReturnType<typeof generateKeyPair>>
const algorithms: Readonly<Record<string, 'RS256' | 'ES256'>> = { generic: 'ES256' }

beforeAll(async () => {
  keys = await generateKeyPair('RS256', { extractable: true })
  others = await generateKeyPair('ES256', { extractable: true })
})

function documentsOf(name: string): { provider: IdentityProviderDocument; workload: WorkloadDocument } {
  const file = `${name}.yaml`
  const { documents, errors } = parseDocumentFiles([{ path: file, text: readFileSync(join(directory, file), 'utf8') }], documentContext)
  expect(errors).toEqual([])
  const provider = documents.find((document): document is IdentityProviderDocument => document.kind === 'IdentityProvider')
  const workload = documents.find((document): document is WorkloadDocument => document.kind === 'Workload')
  if (!provider || !workload) throw new Error(`${file} needs a provider and a workload`)
  return { provider, workload }
}

/** A token of the example's provider; its keys are served from here. */
async function comesWith(name: string, provider: IdentityProviderDocument, claims: Claims, header: Example['header'] = {}) {
  const { issuer, jwksUri, audiences } = provider.spec
  const alg = algorithms[name] ?? 'RS256'
  const pair = alg === 'RS256' ? keys : others
  const uri = jwksUri ?? `${issuer}/keys`
  const served: Record<string, unknown> = {
    [`${issuer}/.well-known/openid-configuration`]: { issuer, jwks_uri: uri },
    [uri]: { keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'k', alg }] },
  }
  const from = new KeySets((address) => (address in served ? Promise.resolve(served[address]) : Promise.reject(new FetchRefusedError('not there'))), () => now * 1000)
  const token = await new SignJWT({ iss: issuer, aud: [...audiences], ...claims }).setProtectedHeader({ alg, kid: 'k', typ: 'JWT', ...header }).sign(pair.privateKey)
  return verifyToken(token, [provider], from, now)
}

it('every example has its tokens here', () => {
  expect(readdirSync(directory).sort()).toEqual(Object.keys(examples).map((name) => `${name}.yaml`).sort())
})

describe.each(Object.entries(examples))('%s', (name, { claims, header, others: strangers, shown, actor, hasId }) => {
  it('the job gets in; what it claims is kept, and the person behind it is known', async () => {
    const { provider, workload } = documentsOf(name)
    const verified = await comesWith(name, provider, claims, header)
    expect(matchWorkload(verified, [workload]).name).toBe(workload.name)
    expect(keptClaims(verified.claims, [...workload.spec.showClaims, ...workload.spec.match.map((rule) => rule.claim)])).toMatchObject(shown)
    expect(actorOf(workload, verified.claims)).toBe(actor)
    expect(verified.tokenId !== undefined).toBe(hasId)
  })

  it.each(Object.entries(strangers))('%s does not', async (_what, stranger) => {
    const { provider, workload } = documentsOf(name)
    const verified = await comesWith(name, provider, { ...claims, ...stranger.claims }, header)
    expect(() => matchWorkload(verified, [workload])).toThrow(`claim ${stranger.kept} is`)
  })

  it('a token for somebody else, from another time, or too old does not', async () => {
    const { provider } = documentsOf(name)
    const { maxTokenAgeSeconds: age, clockSkewSeconds: skew } = provider.spec
    const bad: Readonly<Record<string, Claims>> = {
      aud: { aud: 'https://sts.example.com' },
      exp: { exp: now - skew - 1 },
      nbf: { nbf: now + skew + 1 },
      'maxTokenAge|exp': { iat: now - age - skew - 1, nbf: now - age - skew - 1, exp: now + 60 },
      iat: { iat: now + skew + 2, nbf: now },
    }
    for (const [told, changed] of Object.entries(bad)) await expect(comesWith(name, provider, { ...claims, ...changed }, header), told).rejects.toThrow(new RegExp(told))
    // Clocks that differ by less than is tolerated, on both sides.
    for (const changed of [{ exp: now - skew + 2 }, { nbf: now + skew - 2 }, { iat: now + skew - 2, nbf: now }]) await expect(comesWith(name, provider, { ...claims, ...changed }, header)).resolves.toBeDefined()
  })
})

it('an access token is taken only where the provider says so', async () => {
  const { provider } = documentsOf('github-actions')
  await expect(comesWith('github-actions', provider, github, { typ: 'at+jwt' })).rejects.toThrow(/another type/)
  const open = documentsOf('generic').provider
  await expect(comesWith('generic', open, generic, { typ: 'logout+jwt' })).rejects.toThrow(/another type/)
})
