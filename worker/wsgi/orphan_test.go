package wsgi

func supervise(string) {}
