/**
 * Reorder rows by dragging their grips, with a mouse, a pen or a finger. The rows only look moved until the drop.
 *
 * @param {HTMLElement} list
 * @param {(id: string, over: HTMLElement | null, under: HTMLElement | null) => void} ondrop   below and above which rows it lies then
 */
export function listenToDrag(list, ondrop) {
  list.addEventListener("pointerdown", (down) => {
    const grip = /** @type {Element} */ (down.target).closest("[data-grip]");
    const row = /** @type {HTMLElement | null} */ (grip?.closest("li") ?? null);
    if (grip === null || row === null || down.button !== 0) return;
    down.preventDefault();
    const rows = /** @type {HTMLElement[]} */ ([...list.children]).filter((other) => !other.hidden);
    const from = rows.indexOf(row);
    const middles = rows.map((other) => other.offsetTop + other.offsetHeight / 2);
    const gap = rows.length > 1 ? rows[1].offsetTop - rows[0].offsetTop - rows[0].offsetHeight : 0;
    const distance = row.offsetHeight + gap;
    let to = from;
    grip.setPointerCapture(down.pointerId);
    row.classList.add("dragged");

    /** @param {Event} event */
    function move(event) {
      const dy = /** @type {PointerEvent} */ (event).clientY - down.clientY;
      const middle = middles[from] + dy;
      to = rows.filter((_, index) => index !== from && middles[index] < middle).length;
      rows.forEach((other, index) => {
        const up = index > from && index <= to;
        const aside = index < from && index >= to;
        other.style.transform =
          other === row ? `translateY(${dy}px)` : up ? `translateY(${-distance}px)` : aside ? `translateY(${distance}px)` : "";
      });
    }

    /** @param {Event} event */
    function end(event) {
      grip?.removeEventListener("pointermove", move);
      for (const name of ENDS) grip?.removeEventListener(name, end);
      row?.classList.remove("dragged");
      for (const other of rows) other.style.transform = "";
      if (event.type !== "pointerup" || to === from) return;
      const rest = rows.filter((other) => other !== row);
      ondrop(row?.dataset.id ?? "", rest[to - 1] ?? null, rest[to] ?? null);
    }

    grip.addEventListener("pointermove", move);
    for (const name of ENDS) grip.addEventListener(name, end);
  });
}

const ENDS = ["pointerup", "pointercancel", "lostpointercapture"];
