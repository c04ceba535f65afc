import { Anchor, Button, Code, Group, SegmentedControl, Stack } from '@mantine/core'
import { ok } from '@sallyport/api-client'
import { useQuery } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { Link } from 'wouter'
import { api, type WhoAmI } from '../api.js'
import { fullTime } from '../format.js'
import { Listing } from '../shell/listing.js'
import { Empty } from '../shell/message.js'
import { Simulator } from './simulator.js'

const kinds = ['Policy', 'Target', 'Workload', 'User', 'Group', 'GroupMapping', 'IdentityProvider', 'Sink', 'Retention'] as const

/** All documents in force, policies first; and what they would decide. */
export function PoliciesRoom({ me }: { readonly me: WhoAmI }): ReactNode {
  const [kind, setKind] = useState<string>('Policy')
  const found = useQuery({ queryKey: ['documents', 'all'], queryFn: () => ok(api.GET('/v1/documents', { params: { query: { limit: 1000 } } })) })
  return (
    <Stack gap="xl">
      <Listing
        title="Policies and other documents" found={found} items={(found.data?.items ?? []).filter((item) => item.kind === kind)} keyOf={({ name }) => name}
        aside={
          <Group justify="space-between">
            <SegmentedControl aria-label="Kind" size="xs" value={kind} onChange={setKind} data={[...kinds]} style={{ maxWidth: '100%', overflowX: 'auto' }} />
            <Button component={Link} href={`/policies/${kind}/-`} variant="default" size="xs">New {kind}</Button>
          </Group>
        }
        empty={<Empty title={`No ${kind} yet.`}>Keep documents in Git and apply them: <Code>sallyport apply -f policies/</Code></Empty>}
        columns={[
          { title: 'Name', cell: ({ name }) => <Anchor component={Link} href={`/policies/${kind}/${name}`} size="sm" fw={600}>{name}</Anchor> },
          { title: 'Version', cell: ({ version }) => version },
          { title: 'Changed', cell: ({ updated_at: at, author }) => `${fullTime(at)} by ${author}` },
        ]}
      />
      <Simulator me={me} />
    </Stack>
  )
}
