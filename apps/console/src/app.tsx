import { ok } from '@sallyport/api-client'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Redirect, Route, Switch } from 'wouter'
import { api, isSignedOut, keepCsrf } from './api.js'
import { AgentsRoom } from './agents/agents-room.js'
import { ApprovalsRoom } from './approvals/approvals-room.js'
import { AuditRoom } from './audit/audit-room.js'
import { IdentitiesRoom } from './identities/identities-room.js'
import { DocumentPage } from './policies/document-page.js'
import { PoliciesRoom } from './policies/policies-room.js'
import { SessionPage } from './sessions/session-page.js'
import { SessionsRoom } from './sessions/sessions-room.js'
import { Frame } from './shell/frame.js'
import { Empty, Failure, Loading } from './shell/message.js'
import { SignIn } from './shell/sign-in.js'
import { TargetsRoom } from './targets/targets-room.js'

export function App(): ReactNode {
  const me = useQuery({
    queryKey: ['whoami'],
    queryFn: async () => {
      const answer = await ok(api.GET('/v1/whoami'))
      keepCsrf(answer.csrf)
      return answer
    },
    refetchInterval: 60_000,
  })
  if (isSignedOut(me.error)) return <SignIn />
  if (me.error && !me.data) return <Failure error={me.error} />
  if (!me.data) return <Loading />
  return (
    <Frame me={me.data}>
      <Switch>
        <Route path="/"><Redirect to="/approvals" replace /></Route>
        <Route path="/approvals/:id?">{({ id }) => <ApprovalsRoom id={id} me={me.data} />}</Route>
        <Route path="/sessions"><SessionsRoom /></Route>
        <Route path="/sessions/:id">{({ id }) => <SessionPage id={id} me={me.data} />}</Route>
        <Route path="/audit"><AuditRoom /></Route>
        <Route path="/targets"><TargetsRoom me={me.data} /></Route>
        <Route path="/agents"><AgentsRoom me={me.data} /></Route>
        <Route path="/identities"><IdentitiesRoom me={me.data} /></Route>
        <Route path="/policies"><PoliciesRoom me={me.data} /></Route>
        <Route path="/policies/:kind/:name">{({ kind, name }) => <DocumentPage key={`${kind}/${name}`} kind={kind} name={name} me={me.data} />}</Route>
        <Route><Empty title="There is no such page.">The address may be from another version of the console.</Empty></Route>
      </Switch>
    </Frame>
  )
}
