import type { PlanInput } from "@millrace/queue";

/** The seven standard agents. */
export const ROLES = [
  "activity-planner",
  "copywriter",
  "seo-specialist",
  "social-media-manager",
  "paid-ads-manager",
  "data-analyst",
  "content-researcher",
] as const;

export type Role = (typeof ROLES)[number];

const each = (roles: readonly string[], maxConcurrent: number) =>
  Object.fromEntries(roles.map((role) => [role, { maxConcurrent }]));

// Planning is the platform's own work: every plan has it, one campaign at a time on the small ones.
const planner = { "activity-planner": { maxConcurrent: 1 } };

/** Who may use which agents, and how many at once. */
export const PLANS: Record<string, PlanInput> = {
  free: {
    roles: { ...planner, ...each(["copywriter", "seo-specialist"], 1) },
  },
  pro: {
    roles: {
      ...planner,
      ...each(["copywriter", "seo-specialist", "social-media-manager", "data-analyst"], 2),
    },
  },
  agency: { roles: each(ROLES, 4) },
  enterprise: { roles: { ...each(ROLES, 8), "*": { maxConcurrent: 8 } } },
};
