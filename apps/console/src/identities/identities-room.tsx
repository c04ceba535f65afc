import { Anchor, Badge, Code, Group, Stack, Text } from '@mantine/core'
import { ok } from '@sallyport/api-client'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { api, type WhoAmI } from '../api.js'
import { fullTime, visible } from '../format.js'
import { LockState, useLocks } from '../locks/lock.js'
import { Listing } from '../shell/listing.js'
import { Empty } from '../shell/message.js'

/** Who may ask at all: people, and workloads. */
export function IdentitiesRoom({ me }: { readonly me: WhoAmI }): ReactNode {
  const users = useQuery({ queryKey: ['users'], queryFn: () => ok(api.GET('/v1/users', { params: { query: { limit: 500 } } })) })
  const workloads = useQuery({ queryKey: ['documents', 'Workload'], queryFn: () => ok(api.GET('/v1/documents', { params: { query: { kind: 'Workload', limit: 1000 } } })) })
  const locks = useLocks(me)
  return (
    <Stack gap="xl">
      <Listing
        title="People" found={users} items={users.data?.items ?? []} keyOf={({ name }) => name}
        empty={<Empty title="Nobody yet.">People come from User documents, or from GroupMapping documents when they sign in.</Empty>}
        columns={[
          { title: 'Name', cell: ({ name, display_name: shown, email }) => <><Text fw={600} size="sm">{name}</Text><Text size="xs" c="dimmed">{visible([shown, email].filter((part) => part !== undefined).join(' · '))}</Text></> },
          { title: 'Roles', cell: ({ roles }) => <Group gap={4}>{roles.map((role) => <Badge key={role} variant="default" tt="none" fw={500}>{role}</Badge>)}</Group> },
          { title: 'Groups', cell: ({ groups }) => groups.join(', ') },
          { title: 'State', cell: ({ disabled, locked }) => (disabled && !locked ? <Badge variant="light" color="gray">disabled</Badge> : undefined) },
          { title: 'Lock', cell: ({ name }) => <LockState kind="user" name={name} locks={locks} me={me} /> },
        ]}
      />
      <Listing
        title="Workloads" level={2} found={workloads} items={workloads.data?.items ?? []} keyOf={({ name }) => name}
        empty={<Empty title="No workload yet.">A Workload document says which tokens of a provider are which job: see <Code>examples/workloads</Code></Empty>}
        columns={[
          { title: 'Name', cell: ({ name }) => <Anchor component={Link} href={`/policies/Workload/${name}`} size="sm" fw={600}>{name}</Anchor> },
          { title: 'Changed', cell: ({ updated_at: at, author }) => `${fullTime(at)} by ${author}` },
          { title: 'Lock', cell: ({ name }) => <LockState kind="workload" name={name} locks={locks} me={me} /> },
        ]}
      />
    </Stack>
  )
}
