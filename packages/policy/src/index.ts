export * from './effect.js'
export * from './rule.js'
export { ActionIndex, type ActionReach } from './action-tree.js'
export { ArgvPattern, argvOf } from './argv.js'
export { Glob, matchPathGlob } from './glob.js'
export { defaultLimits, documentLimits } from './limits.js'
export {
  formatPath,
  formatResource,
  matchResource,
  PatternError,
  quoteSegment,
  ResourcePattern,
  splitResource,
  type ResourceReach,
} from './resource.js'
export { RuleError } from './decide/compiled-rule.js'
export { CompiledRules, type EffectDecision, type Explanation } from './decide/compiled-rules.js'
export { compileRules, decide, explainDecision, type DecisionContext } from './decide/decide.js'
export type { DocumentContext } from './documents/context.js'
export { claimAt, claimMismatch, type ClaimMismatch } from './documents/claims.js'
export { roles, type ClaimRule } from './documents/identity.js'
export { documentJsonSchema, type JsonSchema } from './documents/json-schema.js'
export {
  apiVersion,
  documentKindNames,
  isDocumentKind,
  type Document,
  type DocumentByKind,
  type DocumentKind,
  type GroupDocument,
  type GroupMappingDocument,
  type IdentityProviderDocument,
  type PolicyDocument,
  type RetentionDocument,
  type SinkDocument,
  type TargetDocument,
  type UserDocument,
  type WorkloadDocument,
} from './documents/kinds.js'
export { formatDocumentError, parseDocuments, type DocumentError, type ParsedDocuments } from './documents/parse.js'
export { retentionClasses, type RetentionClass, type RetentionSpec } from './documents/retention.js'
export { sinkKinds, type SinkDestination, type SinkKind, type SinkMask, type SinkShape, type SinkSpec } from './documents/sink.js'
export type { PolicyMask, PolicyRule, PolicySession, PolicySubject, PolicyTargets } from './documents/policy.js'
export { parseDuration, parseSize } from './documents/quantities.js'
export { checkReferences, groupsOfUser } from './documents/references.js'
export {
  namesIdentity,
  resolvePolicies,
  selectsTarget,
  type PolicyIdentity,
  type PolicyTarget,
  type ResolvedPolicy,
} from './documents/resolve.js'
export { compileMasks, CompiledMasks, MaskError, masksNeedKey, type ColumnMask, type ResultColumn } from './masks/compiled-masks.js'
export type { ContentResult } from './masks/content.js'
export { keyedHash, redacted } from './masks/methods.js'
export { detectorNames, type DetectorName, type DetectorOrGroup } from './detectors/names.js'
export { detectors } from './detectors/registry.js'
export { documentExamples } from './documents/examples.js'
export { policyReference } from './documents/reference.js'
