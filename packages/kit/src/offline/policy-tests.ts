import { namesIdentity, selectsTarget, type Document, type PolicyDocument, type PolicyIdentity, type PolicyTarget, type Verdict } from '@sallyport/policy'
import type { ProtocolDescriptor } from '../descriptor.js'
import { identityNamed, policiesOf, simulate } from './simulate.js'

export interface PolicyTestResult {
  readonly policy: string
  /** Position in the policy's `tests`, from 0. */
  readonly index: number
  readonly as: string
  readonly run: string
  readonly target?: string
  readonly expected: Verdict
  /** `error`: the test could not be asked, `reason` says why. */
  readonly actual: Verdict | 'error'
  readonly ok: boolean
  readonly rule: string
  readonly reason: string
}

export interface PolicyTestOptions {
  readonly documents: readonly Document[]
  /** Loaded. */
  readonly descriptors: readonly ProtocolDescriptor[]
  /** A policy may be tested on its own: who or what the documents don't define is taken to be one that it is about. */
  readonly assumeMissing: boolean
}

type PolicyTest = PolicyDocument['spec']['tests'][number]

/** Runs the tests of every policy in a set against the whole set: another policy's deny counts as it will in a session. */
export function runPolicyTests(options: PolicyTestOptions): PolicyTestResult[] {
  return policiesOf(options.documents).flatMap((policy) => policy.spec.tests.map((test, index) => runTest(policy, test, index, options)))
}

function runTest(policy: PolicyDocument, test: PolicyTest, index: number, options: PolicyTestOptions): PolicyTestResult {
  const { documents, descriptors, assumeMissing } = options
  const asked = { policy: policy.name, index, as: test.as, run: test.run, expected: test.expect }
  const failed = (reason: string): PolicyTestResult => ({ ...asked, actual: 'error', ok: false, rule: '', reason })
  const identity = identityNamed(test.as, documents) ?? (assumeMissing ? assumedIdentity(test.as, policy) : undefined)
  if (!identity) return failed(`there is no workload or user "${test.as}"`)
  const results = testTargets(policy, test.target, options).map((target): PolicyTestResult => {
    const { verdict, rule, reason } = simulate(documents, identity, target, test.run, descriptors)
    return { ...asked, target: target.name, actual: verdict, ok: verdict === test.expect, rule, reason }
  })
  return results.find((result) => !result.ok) ?? results[0] ?? failed(`there is no Target "${test.target ?? ''}"`)
}

/** A user in the policy's groups; a workload where only that fits. */
function assumedIdentity(name: string, policy: PolicyDocument): PolicyIdentity {
  const groups = policy.spec.subjects.flatMap((subject) => (subject.kind === 'group' ? [subject.name] : []))
  const workload = { kind: 'workload', name, groups } as const
  return namesIdentity(policy, { ...workload, groups: [] }) ? workload : { ...workload, kind: 'user' }
}

/** The target named; else all that the policy selects; else one made up that has just what the policy asks for. */
function testTargets(policy: PolicyDocument, named: string | undefined, { documents, descriptors, assumeMissing }: PolicyTestOptions): PolicyTarget[] {
  const targets = documents.flatMap((document): PolicyTarget[] =>
    document.kind === 'Target' ? [{ name: document.name, protocol: document.spec.protocol, labels: document.labels }] : [],
  )
  const found = targets.filter((target) => (named === undefined ? selectsTarget(policy, target) : target.name === named))
  if (found.length > 0) return distinct(found, policiesOf(documents))
  if (named !== undefined && !assumeMissing) return []
  const { names, labels, protocol } = policy.spec.targets
  const name = named ?? names[0]?.replaceAll('*', 'any') ?? 'any'
  return [{ name, protocol: protocol ?? descriptors[0]?.protocol ?? '', labels }]
}

/** One of each kind: targets of the same protocol that the same policies select are decided alike, and there may be many. */
function distinct(targets: readonly PolicyTarget[], policies: readonly PolicyDocument[]): PolicyTarget[] {
  const kinds = new Map<string, PolicyTarget>()
  for (const target of targets) {
    const kind = JSON.stringify([target.protocol, ...policies.flatMap((policy) => (selectsTarget(policy, target) ? [policy.name] : []))])
    if (!kinds.has(kind)) kinds.set(kind, target)
  }
  return [...kinds.values()]
}
