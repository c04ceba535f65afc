import {
  checkReferences, compileRules, formatDocumentError, groupsOfUser, namesIdentity, parseDocuments, resolvePolicies, selectsTarget,
  type Decision, type Document, type DocumentContext, type PolicyDocument, type PolicyIdentity, type PolicyTarget, type Verdict,
} from '@sallyport/policy'
import type { DocumentFile } from './commands/apply.js'
import { descriptors } from './protocols.js'

export interface CheckReport {
  readonly ok: boolean
  readonly documents: number
  /** `path:line:column: message`. */
  readonly errors: readonly string[]
  readonly tests: readonly TestResult[]
}

export interface TestResult {
  readonly policy: string
  /** Position in the policy's `tests`, from 0. */
  readonly index: number
  readonly target: string
  readonly run: string
  readonly expected: Verdict
  readonly actual: Verdict
  readonly ok: boolean
  readonly rule: string
  readonly reason: string
}

type PolicyTest = PolicyDocument['spec']['tests'][number]

/**
 * What an apply would check, without a control plane: strict reading, references, tests. A policy on its own is checked
 * too: an identity or target that these files don't define is then taken to be one that the policy is about.
 */
export async function checkDocuments(files: readonly DocumentFile[]): Promise<CheckReport> {
  await Promise.all(descriptors.map((descriptor) => descriptor.load()))
  const context: DocumentContext = {
    actionTrees: Object.fromEntries(descriptors.map((descriptor) => [descriptor.protocol, descriptor.actions])),
    parseTargetSpec: (protocol, spec) => {
      const descriptor = descriptors.find((candidate) => candidate.protocol === protocol)
      if (descriptor === undefined) throw new Error(`unknown protocol "${protocol}"`)
      return descriptor.parseTargetSpec(spec)
    },
  }
  const parsed = files.map((file) => parseDocuments(file.text, file.path, context))
  const documents = parsed.flatMap((result) => result.documents)
  const problems = parsed.flatMap((result) => result.errors)
  // Policies alone can't be asked where the rest is; with the rest there, it must be complete.
  if (problems.length === 0 && documents.some((document) => document.kind !== 'Policy')) problems.push(...checkReferences(documents))
  const errors = problems.map(formatDocumentError)
  const tests = errors.length > 0 ? [] : runTests(documents)
  return { ok: errors.length === 0 && tests.every((test) => test.ok), documents: documents.length, errors, tests }
}

function runTests(documents: readonly Document[]): TestResult[] {
  const policies = documents.filter((document) => document.kind === 'Policy')
  return policies.flatMap((policy) =>
    policy.spec.tests.flatMap((test, index) => {
      const identity = identityOf(test, policy, documents)
      return targetsOf(test, policy, documents).map((target): TestResult => {
        const decision = decideOffline(test.run, identity, target, policies)
        const named = { policy: policy.name, index, target: target.name, run: test.run, expected: test.expect }
        return { ...named, actual: decision.verdict, ok: decision.verdict === test.expect, rule: decision.rule, reason: decision.reason }
      })
    }),
  )
}

function identityOf(test: PolicyTest, policy: PolicyDocument, documents: readonly Document[]): PolicyIdentity {
  for (const document of documents) {
    if (document.name !== test.as) continue
    if (document.kind === 'Workload') return { kind: 'workload', name: test.as, groups: document.spec.groups }
    if (document.kind === 'User') return { kind: 'user', name: test.as, groups: groupsOfUser(test.as, documents) }
  }
  const { subjects } = policy.spec
  const groups = subjects.flatMap((subject) => (subject.kind === 'group' ? [subject.name] : []))
  const user = { kind: 'user', name: test.as, groups } as const
  const named = subjects.some((subject) => subject.kind !== 'group' && subject.name === test.as)
  return named && !namesIdentity(policy, { ...user, groups: [] }) ? { ...user, kind: 'workload' } : user
}

function targetsOf(test: PolicyTest, policy: PolicyDocument, documents: readonly Document[]): PolicyTarget[] {
  const defined = documents.flatMap((document): PolicyTarget[] =>
    document.kind === 'Target' ? [{ name: document.name, protocol: document.spec.protocol, labels: document.labels }] : [])
  const wanted = defined.filter((target) => (test.target === undefined ? selectsTarget(policy, target) : target.name === test.target))
  if (wanted.length > 0) return wanted
  const { names, labels, protocol } = policy.spec.targets
  return [{ name: test.target ?? names[0] ?? 'any', protocol: protocol ?? descriptors[0]?.protocol ?? '', labels }]
}

/** The strictest decision over all commands of the text. */
function decideOffline(text: string, identity: PolicyIdentity, target: PolicyTarget, policies: readonly PolicyDocument[]): Decision {
  const descriptor = descriptors.find((candidate) => candidate.protocol === target.protocol)
  const resolved = descriptor && resolvePolicies(policies, identity, target, descriptor.actions)
  if (descriptor === undefined || resolved === undefined) {
    return { verdict: 'deny', rule: 'default-deny', reason: `no policy is about ${identity.name} on ${target.name}`, hint: '' }
  }
  const analysis = descriptor.analyse(text)
  if (analysis.error !== undefined) return { verdict: 'deny', rule: 'unparsable', reason: analysis.error, hint: '' }
  const rules = compileRules(resolved.rules, descriptor.actions)
  const decisions = analysis.commands.map((command) => rules.decide(command.effects, command.text))
  const strictest = (['deny', 'hold', 'allow'] as const).flatMap((verdict) => decisions.filter((decision) => decision.verdict === verdict))
  return strictest[0] ?? rules.decide([], text)
}
