import { claimAt } from '@sallyport/policy'

/** Claims that identify a run and its origin. All else of a token is dropped. */
const keptAlways = [
  'iss', 'sub', 'aud', 'jti',
  'repository', 'repository_id', 'repository_owner', 'repository_owner_id', 'ref', 'ref_type', 'ref_protected', 'sha', 'workflow', 'workflow_ref',
  'job_workflow_ref', 'run_id', 'run_number', 'run_attempt', 'actor', 'actor_id', 'event_name', 'environment', 'server_url',
  'project_path', 'project_id', 'namespace_path', 'namespace_id', 'pipeline_id', 'pipeline_url', 'job_id', 'job_url', 'user_login', 'user_email', 'user_id',
  'pipeline_source', 'ref_path', 'job_project_id', 'job_project_path', 'runner_environment',
  'organization_slug', 'pipeline_slug', 'build_number', 'build_branch', 'build_tag', 'build_commit', 'step_key',
  'oidc.circleci.com/project-id', 'oidc.circleci.com/workflow-id', 'oidc.circleci.com/job-id', 'oidc.circleci.com/vcs-origin', 'oidc.circleci.com/vcs-ref',
  'azp', 'appid', 'tid', 'cid', 'scp', 'roles',
] as const

/** Kubernetes service-account tokens nest what matters (kubernetes.io/serviceaccount …). */
const flattened = 'kubernetes.io'
const maxValueBytes = 1024
const maxTotalBytes = 16 * 1024
const maxDepth = 4

/**
 * The claims that stand in events, are shown to reviewers and go into grants: text only, each at most 1 KiB, 16 KiB in
 * all. Longer values are left out rather than cut: half an identifier misleads.
 * @param further names besides the fixed ones; dots reach into nested claims
 */
export function keptClaims(claims: Readonly<Record<string, unknown>>, further: readonly string[]): Record<string, string> {
  const kept: Record<string, string> = {}
  let total = 0
  const keep = (name: string, value: unknown): void => {
    const text = textOf(value)
    if (text === undefined || Object.hasOwn(kept, name)) return
    const size = Buffer.byteLength(name) + Buffer.byteLength(text)
    if (Buffer.byteLength(text) > maxValueBytes || Buffer.byteLength(name) > maxValueBytes || total + size > maxTotalBytes) return
    total += size
    // Not an assignment: a claim named __proto__ must become a property like any other.
    Object.defineProperty(kept, name, { value: text, enumerable: true, configurable: true, writable: true })
  }
  for (const name of [...keptAlways, ...further]) keep(name, claimAt(claims, name))
  const flatten = (prefix: string, value: unknown, depth: number): void => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return keep(prefix, value)
    if (depth === 0) return
    for (const [key, inner] of Object.entries(value)) flatten(`${prefix}.${key}`, inner, depth - 1)
  }
  flatten(flattened, claims[flattened], maxDepth)
  return kept
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value) && value.length <= 16 && value.every((entry) => typeof entry === 'string')) return value.join(', ')
  return undefined
}
