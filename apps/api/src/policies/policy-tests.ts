import { selectsTarget, type Document, type PolicyDocument, type PolicyTarget } from '@sallyport/policy'
import type { TestResult } from '../documents/documents.dto.js'
import { protocols } from '../protocols.js'
import { identityNamed, policiesOf, simulate } from './simulate.js'

/** Runs the tests of every policy in a set against the whole set: another policy's deny counts as it will in a session. */
export function runPolicyTests(documents: readonly Document[]): TestResult[] {
  return policiesOf(documents).flatMap((policy) => policy.spec.tests.map((test, index) => runTest(policy, test, index, documents)))
}

function runTest(policy: PolicyDocument, test: PolicyDocument['spec']['tests'][number], index: number, documents: readonly Document[]): TestResult {
  const asked = { policy: policy.name, index, as: test.as, run: test.run, expected: test.expect }
  const identity = identityNamed(test.as, documents)
  if (!identity) return { ...asked, actual: 'error', ok: false, rule: '', reason: `there is no workload or user "${test.as}"` }
  const target = testTarget(policy, test.target, documents)
  if (!target) return { ...asked, actual: 'error', ok: false, rule: '', reason: `there is no Target "${test.target ?? ''}"` }
  const { verdict, rule, reason } = simulate(documents, identity, target, test.run)
  return { ...asked, target: target.name, actual: verdict, ok: verdict === test.expect, rule, reason }
}

/** The target named; else the first one that the policy selects; else one made up that has just what the policy asks for. */
function testTarget(policy: PolicyDocument, named: string | undefined, documents: readonly Document[]): PolicyTarget | undefined {
  const targets = documents.flatMap((document) =>
    document.kind === 'Target' ? [{ name: document.name, protocol: document.spec.protocol, labels: document.labels }] : [],
  )
  if (named !== undefined) return targets.find((target) => target.name === named)
  const selected = targets.find((target) => selectsTarget(policy, target))
  if (selected) return selected
  const { names, labels, protocol } = policy.spec.targets
  const name = names[0]?.replaceAll('*', 'any') ?? 'any'
  return { name, protocol: protocol ?? protocols[0]?.protocol ?? '', labels }
}
