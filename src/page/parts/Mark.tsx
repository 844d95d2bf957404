/** The mark: a swallowtail, its hind wings drawn out to tails. */
export function Mark({ size = 30 }: { readonly size?: number }) {
  const wings = (
    <>
      <path className="mark-fore" d="M16.7 14.6C18.4 7.6 24.6 3 30.6 3.6c1 5.6-4 12.2-13.9 12.6z" />
      <path
        className="mark-hind"
        d="M16.7 17c5.6-1.4 10 .6 10 4.2 0 2.2-1.4 3.2-2 4.1l1.5 4.9-3.4-3.6c-3.4.4-5.7-3.8-6.1-9.600z"
      />
      <circle className="mark-eye" cx="21.4" cy="22" r="1.5" />
    </>
  );
  return (
    <svg className="mark" viewBox="0 0 32 32" width={size} height={size} aria-hidden="true">
      {wings}
      <g transform="matrix(-1 0 0 1 32 0)">{wings}</g>
      <path
        className="mark-body"
        d="M16 11v13M16 11c-.6-3-2-4.600-3.600-5.400M16 11c.6-3 2-4.600 3.600-5.400"
      />
    </svg>
  );
}
