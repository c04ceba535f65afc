/** Where a workload's run stands in its CI system, from the token's claims. All of it is what the CI's issuer signed. */
export interface CiContext {
  readonly repository?: string
  readonly ref?: string
  readonly commit?: string
  readonly run_url?: string
  readonly actor?: string
  readonly workflow?: string
}

type Claims = Readonly<Record<string, string>>

/** Reads GitHub's and GitLab's claim names. Undefined when the claims are of no CI. */
export function ciContext(claims: Claims, actor: string | null): CiContext | undefined {
  const first = (...names: readonly string[]): string | undefined => {
    for (const name of names) if (Object.hasOwn(claims, name) && claims[name] !== '') return claims[name]
    return undefined
  }
  const entries = {
    repository: first('repository', 'project_path'),
    ref: first('ref'),
    commit: first('sha', 'commit', 'ci_config_sha'),
    run_url: runUrl(claims),
    actor: actor ?? first('actor', 'user_login'),
    workflow: first('workflow_ref', 'job_workflow_ref', 'workflow', 'ci_config_ref_uri'),
  }
  if (entries.repository === undefined && entries.run_url === undefined) return undefined
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined))
}

/** A link that a reviewer may follow: built from parts that can't change its host, https (or loopback http) only. */
function runUrl(claims: Claims): string | undefined {
  const given = httpUrl(claims['run_url'])
  if (given) return given
  const { iss, repository, run_id, project_path, job_id, pipeline_id } = claims
  if (repository !== undefined && run_id !== undefined && /^[\w.-]+\/[\w.-]+$/.test(repository) && /^\d+$/.test(run_id)) {
    const enterprise = iss?.endsWith('/_services/token') ? httpUrl(iss.slice(0, -'/_services/token'.length)) : undefined
    return `${(enterprise ?? 'https://github.com').replace(/\/$/, '')}/${repository}/actions/runs/${run_id}`
  }
  const server = httpUrl(iss)
  if (server === undefined || project_path === undefined || !/^[\w.-]+(\/[\w.-]+)+$/.test(project_path)) return undefined
  if (job_id !== undefined && /^\d+$/.test(job_id)) return `${server.replace(/\/$/, '')}/${project_path}/-/jobs/${job_id}`
  if (pipeline_id !== undefined && /^\d+$/.test(pipeline_id)) return `${server.replace(/\/$/, '')}/${project_path}/-/pipelines/${pipeline_id}`
  return undefined
}

function httpUrl(text: string | undefined): string | undefined {
  if (text === undefined || text.length > 2000 || !URL.canParse(text)) return undefined
  const url = new URL(text)
  const loopback = url.hostname === '127.0.0.1' || url.hostname === 'localhost'
  const safe = (url.protocol === 'https:' || (url.protocol === 'http:' && loopback)) && url.username === '' && url.password === ''
  return safe ? url.href : undefined
}
