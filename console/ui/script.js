// What makes pages quicker. Each page works without it.
"use strict";
(() => {
	// Nobody is here: a page that renews itself would keep a session from ending.
	let active = Date.now();
	["pointerdown", "pointermove", "keydown", "wheel"].forEach(e => addEventListener(e, () => { active = Date.now(); }, { passive: true }));
	const away = () => Date.now() - active > 15 * 60_000;

	const $$ = (css, root = document) => [...root.querySelectorAll(css)];

	// Times: the reader's own, for whoever points at one.
	const times = root => $$("time[datetime]", root).forEach(t => {
		const d = new Date(t.dateTime);
		if (!isNaN(d) && !t.dataset.local) {
			t.dataset.local = "1";
			t.title += "\n" + d.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
		}
	});

	// Copy: a button behind what is worth it.
	const copies = root => $$("[data-copy]", root).forEach(e => {
		if (!navigator.clipboard || e.dataset.ready) return;
		e.dataset.ready = "1";
		const b = document.createElement("button");
		b.type = "button";
		b.className = "small quiet";
		b.textContent = "Copy";
		b.setAttribute("aria-label", "Copy " + (e.dataset.copy || e.textContent.trim()));
		b.addEventListener("click", async () => {
			try {
				await navigator.clipboard.writeText(e.textContent.trim());
				b.textContent = "Copied";
			} catch {
				b.textContent = "Not allowed";
			}
			setTimeout(() => { b.textContent = "Copy"; }, 1500);
		});
		e.after(b);
	});

	// Charts: the numbers of a column beside it, by mouse and by arrow keys.
	const charts = root => $$("[data-chart]", root).forEach(f => {
		const cols = $$("g[data-title]", f);
		$$("title", f).forEach(t => t.remove());
		let at = -1, tip;
		const show = i => {
			cols.forEach((c, j) => c.classList.toggle("on", j === i));
			at = i;
			if (i < 0) {
				if (tip) tip.remove();
				tip = null;
				return;
			}
			if (!tip) {
				tip = document.createElement("div");
				tip.className = "tip";
				tip.setAttribute("role", "status");
				f.append(tip);
			}
			tip.textContent = cols[i].dataset.title;
			const box = f.getBoundingClientRect(), c = cols[i].getBoundingClientRect();
			const left = c.left - box.left + c.width / 2;
			// By the object model: the policy of the page has no style attributes.
			tip.style.insetInlineStart = left > box.width / 2 ? "auto" : left + 12 + "px";
			tip.style.insetInlineEnd = left > box.width / 2 ? box.width - left + 12 + "px" : "auto";
		};
		cols.forEach((c, i) => c.addEventListener("pointerenter", () => show(i)));
		f.addEventListener("pointerleave", () => show(-1));
		f.addEventListener("blur", () => show(-1));
		f.addEventListener("keydown", e => {
			const to = { ArrowLeft: at < 0 ? cols.length - 1 : at - 1, ArrowRight: at + 1, Home: 0, End: cols.length - 1 }[e.key];
			if (e.key === "Escape") show(-1);
			else if (to !== undefined && !e.altKey && !e.ctrlKey && !e.metaKey) {
				e.preventDefault();
				show(Math.max(0, Math.min(cols.length - 1, to)));
			}
		});
	});

	// Editors: numbers of lines, as many as there are.
	const editors = root => $$(".editor", root).forEach(e => {
		const area = e.querySelector("textarea"), gutter = e.querySelector("pre");
		if (!area) return; // a version that is only read
		let lines = area.value.split("\n").length;
		area.addEventListener("input", () => {
			const n = area.value.split("\n").length;
			area.rows = n + 1;
			if (n === lines) return;
			lines = n;
			gutter.textContent = Array.from({ length: n }, (_, i) => i + 1).join("\n");
		});
	});

	const enhance = root => [times, copies, charts, editors].forEach(f => f(root));

	const load = async url => {
		const r = await fetch(url, { headers: { "X-Requested-With": "script" }, redirect: "error" });
		return r.ok ? new DOMParser().parseFromString(await r.text(), "text/html") : null;
	};
	// Put the parts named by selectors in place of those here.
	const swap = (doc, css) => $$(css).forEach(old => {
		const fresh = old.id && doc.getElementById(old.id);
		if (!fresh || old.contains(document.activeElement) && old !== document.activeElement) return;
		const open = $$("details", old).map(d => d.open), scrolled = $$(".scroll", old).map(d => d.scrollTop);
		const into = document.adoptNode(fresh);
		$$("details", into).forEach((d, i) => { if (i in open) d.open = open[i]; });
		old.replaceWith(into);
		$$(".scroll", into).forEach((d, i) => { if (i in scrolled) d.scrollTop = scrolled[i]; });
		enhance(into);
	});

	// data-search="#list": a form of filters whose answer is shown while one types.
	$$("form[data-search]").forEach(form => {
		let timer, last = 0;
		const go = async () => {
			const mine = ++last, url = new URL(form.action, location.href);
			url.search = new URLSearchParams([...new FormData(form)].filter(([, v]) => v !== ""));
			try {
				const doc = await load(url);
				if (!doc || mine !== last) return;
				swap(doc, form.dataset.search);
				history.replaceState(null, "", url);
			} catch {
				// The button of the form remains.
			}
		};
		form.addEventListener("input", e => {
			clearTimeout(timer);
			timer = setTimeout(go, e.target.type === "search" || e.target.type === "text" ? 200 : 0);
		});
	});

	// data-refresh="10": parts that are read again after so many seconds, while
	// somebody can see them.
	const refresh = document.querySelector("[data-refresh]");
	if (refresh) {
		const every = Math.max(1, +refresh.dataset.refresh) * 1000;
		let busy = false, when = Date.now();
		const look = async () => {
			if (document.hidden || away() || busy || Date.now() - when < every - 50) return;
			busy = true;
			try {
				const doc = await load(location.href);
				if (doc) {
					swap(doc, "[data-live]");
					if (!doc.querySelector("[data-refresh]")) location.reload(); // it is over
				}
			} catch {
				// The next one may get through.
			}
			when = Date.now();
			busy = false;
		};
		setInterval(look, every);
		document.addEventListener("visibilitychange", look);
	}

	// data-follow="URL of what is newer": a switch that has new rows come by
	// themselves.
	$$("[data-follow]").forEach(rows => {
		const b = document.createElement("button");
		b.type = "button";
		b.textContent = "Follow live";
		b.setAttribute("aria-pressed", "false");
		(document.querySelector(".actions") || rows).prepend(b);
		const said = document.createElement("p");
		said.className = "hidden";
		said.setAttribute("role", "status");
		document.querySelector("main").append(said);
		let timer, busy = false, next = rows.dataset.follow;
		const look = async () => {
			if (away()) b.click(); // stops
			if (document.hidden || away() || busy) return;
			busy = true;
			try {
				const doc = await load(next);
				const from = doc && doc.querySelector("[data-follow]");
				if (from) {
					const fresh = [...from.children].map(r => document.adoptNode(r));
					next = from.dataset.follow;
					fresh.forEach(r => { r.classList.add("fresh"); enhance(r); });
					rows.prepend(...fresh);
					while (rows.children.length > 500) rows.lastElementChild.remove();
					if (fresh.length) said.textContent = fresh.length + " new";
					$$(".empty").forEach(e => { if (fresh.length) e.remove(); });
				}
			} catch {
				// The next one may get through.
			}
			busy = false;
		};
		b.addEventListener("click", () => {
			const on = b.getAttribute("aria-pressed") !== "true";
			b.setAttribute("aria-pressed", String(on));
			b.textContent = on ? "Following: stop" : "Follow live";
			clearInterval(timer);
			if (on) {
				look();
				timer = setInterval(look, 2000);
			}
		});
	});

	// One press, one request.
	document.addEventListener("submit", e => {
		if (e.target.method !== "post") return;
		if (e.target.dataset.sent) e.preventDefault();
		e.target.dataset.sent = "1";
		setTimeout(() => { delete e.target.dataset.sent; }, 5000);
	});

	// The slash key goes to the search.
	document.addEventListener("keydown", e => {
		if (e.key !== "/" || e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, textarea, select, [contenteditable]")) return;
		const s = document.querySelector("input[type=search]");
		if (s) {
			e.preventDefault();
			s.focus();
			s.select();
		}
	});

	enhance(document);
})();
